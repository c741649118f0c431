import { useId } from "react";
import { Field, Select } from "@/components/Fields";
import { MomentInput } from "@/components/MomentInput";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import { FilterText } from "./FilterText";
import type { EventFilters, FilterName } from "./filters";

type Props = {
  filters: EventFilters;
  change: (changes: EventFilters, isTyping?: boolean) => void;
  wrong: (name: FilterName) => string | undefined;
  types: string[];
  sources: string[];
};

/** The filters that are not wanted every day. Each takes the whole value, as the api does. */
export function MoreFilters({ filters, change, wrong, types, sources }: Props) {
  const text = (name: FilterName, label: string, known: string[] = []) => (
    <TextField {...{ name, label, known, filters, change, error: wrong(name) }} />
  );
  return (
    <div className="grid gap-3 rounded-lg border border-line bg-card p-4 sm:grid-cols-2 lg:grid-cols-4">
      {text("type", "Type", types)}
      {text("source", "Source", sources)}
      {text("subject", "Subject")}
      {text("external_id", "External id")}
      <RuleField value={filters.rule_id ?? ""} change={change} error={wrong("rule_id")} />
      <MomentField name="received_after" label="Received from" {...{ filters, change, wrong }} />
      <MomentField name="received_before" label="Received before" {...{ filters, change, wrong }} />
    </div>
  );
}

function TextField({
  name,
  label,
  known,
  filters,
  change,
  error,
}: Pick<Props, "filters" | "change"> & {
  name: FilterName;
  label: string;
  known: string[];
  error: string | undefined;
}) {
  const list = useId();
  return (
    <Field label={label} error={error}>
      {(props) => (
        <>
          <FilterText
            {...props}
            {...(known.length > 0 ? { list } : {})}
            value={filters[name] ?? ""}
            onApply={(value, isTyping) => change({ [name]: value }, isTyping)}
          />
          {known.length > 0 && (
            <datalist id={list}>
              {known.map((value) => (
                <option key={value} value={value} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

function RuleField({
  value,
  change,
  error,
}: {
  value: string;
  change: Props["change"];
  error: string | undefined;
}) {
  const mayRead = useMay("rules:read");
  const query = api.useQuery("get", "/rules", {}, { enabled: mayRead, staleTime: 30_000 });
  const rules = query.data?.rules ?? [];
  const isKnown = rules.some((rule) => rule.id === value);
  return (
    <Field label="Rule that acted or failed" error={error}>
      {(props) =>
        mayRead ? (
          <Select
            {...props}
            value={value}
            onChange={(event) => change({ rule_id: event.target.value })}
          >
            <option value="">Any rule</option>
            {value && !isKnown && <option value={value}>{value}</option>}
            {rules.map((rule) => (
              <option key={rule.id} value={rule.id}>
                {rule.name}
              </option>
            ))}
          </Select>
        ) : (
          <FilterText
            {...props}
            placeholder="A rule's id"
            value={value}
            onApply={(rule_id, isTyping) => change({ rule_id }, isTyping)}
          />
        )
      }
    </Field>
  );
}

function MomentField({
  name,
  label,
  filters,
  change,
  wrong,
}: Pick<Props, "filters" | "change" | "wrong"> & {
  name: "received_after" | "received_before";
  label: string;
}) {
  return (
    <MomentInput
      label={label}
      error={wrong(name)}
      value={filters[name]}
      onChange={(moment) => change({ [name]: moment ?? "" }, true)}
    />
  );
}
