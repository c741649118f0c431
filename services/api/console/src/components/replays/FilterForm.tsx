import type { FormEvent } from "react";
import { Button } from "@/components/Button";
import { Field, Input, Select } from "@/components/Fields";
import { usePrefs } from "@/lib/prefs";
import type { Search } from "@/lib/search";
import { fromInput, toInput } from "@/lib/time";

const TEXTS = [
  ["q", "Search", "part of an id, type, subject or source"],
  ["type", "Type", "payment.completed"],
  ["source", "Source", ""],
  ["subject", "Subject", ""],
  ["external_id", "External id", ""],
  ["rule_id", "Rule id", "events on which the rule acted or failed"],
] as const;

/** The first step. What it holds goes into the address when it is sent, and is read from there. */
export function FilterForm({
  search,
  onSubmit,
}: {
  search: Search;
  onSubmit: (search: Search) => void;
}) {
  const { clock } = usePrefs();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const typed = (name: string) => String(given.get(name) ?? "");
    const read = (name: string) => typed(name).trim() || undefined;
    onSubmit({
      ...Object.fromEntries(TEXTS.map(([name]) => [name, read(name)])),
      // A search looks for its spaces too: without them it would take more than the list showed.
      q: read("q") && typed("q"),
      status: read("status"),
      received_after: moment(read("received_after"), search.received_after),
      received_before: moment(read("received_before"), search.received_before),
    });
  };
  const moment = (text: string | undefined, before: string | undefined) =>
    text === undefined ? undefined : fromInput(text, clock, before) || undefined;
  const zone = clock === "utc" ? "UTC" : "your local time";
  const range = [
    ["received_after", "Received after", `In ${zone}. Empty: from the first event on.`],
    ["received_before", "Received before", `In ${zone}. Empty: up to the preview.`],
  ] as const;
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
        {TEXTS.map(([name, label, hint]) => (
          <Field key={name} label={label}>
            {(props) => (
              <Input {...props} name={name} defaultValue={search[name]} placeholder={hint} />
            )}
          </Field>
        ))}
        <Field label="Status">
          {(props) => (
            <Select {...props} name="status" defaultValue={search.status ?? ""}>
              <option value="">processed or failed</option>
              <option value="failed">failed</option>
              <option value="processed">processed</option>
            </Select>
          )}
        </Field>
        {range.map(([name, label, hint]) => (
          <Field key={name} label={label} hint={hint}>
            {(props) => (
              <Input
                {...props}
                type="datetime-local"
                step="0.001"
                name={name}
                defaultValue={toInput(search[name], clock)}
              />
            )}
          </Field>
        ))}
      </div>
      <div>
        <Button type="submit" look="primary">
          Preview
        </Button>
      </div>
    </form>
  );
}
