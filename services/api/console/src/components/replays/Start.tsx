import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Field, Input } from "@/components/Fields";
import { Failed } from "@/components/States";
import { api, Problem, type Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";
import { RequestKeys } from "@/lib/freshKey";
import { atLeast } from "./words";

const RATE = 500;
const REASON_CHARACTERS = 1_000;

/**
 * The last step: how fast and why, and the one button that does it. It stays while the choices
 * change: what was typed is kept, and the same request sent again after a lost answer is known.
 */
export function Start({
  body,
  preview,
  waiting,
}: {
  body: Schemas["PreviewBody"];
  /** None while it is not known what the choices would do. */
  preview: Schemas["Preview"] | undefined;
  /** The preview is being asked for again. */
  waiting: boolean;
}) {
  const [rate, setRate] = useState(String(RATE));
  const [reason, setReason] = useState("");
  const navigate = useNavigate();
  const start = api.useMutation("post", "/replays");
  const [keys] = useState(() => new RequestKeys());
  const job = { ...body, reason: reason.trim(), rate_per_second: Number(rate) };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    start.mutate(
      { body: job, params: { header: { "Idempotency-Key": keys.of(job) } } },
      {
        onSuccess: (made) => {
          toast.success("The replay was started.");
          void navigate({ to: "/replays/$id", params: { id: made.id } });
        },
      },
    );
  };
  // What was said of another request is not shown beside this one.
  const isOfThis = JSON.stringify(start.variables?.body) === JSON.stringify(job);
  const error = isOfThis ? start.error : null;
  const flaw = (pointer: string) =>
    error instanceof Problem
      ? error.faults.find((fault) => fault.pointer === pointer)?.detail
      : undefined;
  const forced = body.effects === "force";
  const found = preview?.count ?? 0;
  const takes = found > 0 || preview?.exact === false;
  const ready = reason.trim() !== "" && Number(rate) > 0 && takes && !waiting;
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 lg:grid-cols-[1fr_14rem]">
        <Field
          label="Reason"
          hint="Stands in the audit log and on the job's page."
          error={flaw("/reason")}
        >
          {(props) => (
            <Input
              {...props}
              value={reason}
              required
              maxLength={REASON_CHARACTERS}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Events per second, at most"
          hint="Can be changed while it runs."
          error={flaw("/rate_per_second")}
        >
          {(props) => (
            <Input
              {...props}
              type="number"
              min={1}
              step={1}
              required
              value={rate}
              onChange={(event) => setRate(event.target.value)}
            />
          )}
        </Field>
      </div>
      {error && <Failed error={error} />}
      <div className="flex flex-wrap items-center gap-3">
        <Button
          type="submit"
          look={forced ? "danger" : "primary"}
          disabled={!ready || start.isPending}
        >
          Replay{preview && ` ${taken(preview)}`}
          {forced ? " and send again" : ""}
        </Button>
        <p className="text-soft text-sm">
          {preview ? said(preview, forced) : "It can be started when it is known what it would do."}
        </p>
      </div>
    </form>
  );
}

function taken(preview: Schemas["Preview"]): string {
  const events = plural(preview.replayable, "event");
  if (preview.exact) return events;
  return preview.replayable === 0 ? "what matches" : `at least ${events}`;
}

function said(preview: Schemas["Preview"], forced: boolean): string {
  if (preview.count === 0)
    return preview.exact
      ? "There is no event to replay: change the filter."
      : "None was found yet: the job looks at the rest of the range too, and takes what it finds.";
  if (forced) {
    const known = atLeast(preview, preview.would_send_again);
    return `Deliveries that receivers have had already go out again: ${known}. What was sent cannot be taken back.`;
  }
  const skipped = preview.count - preview.replayable;
  return skipped > 0
    ? `${count(skipped)} of the events found are not finished or have no data: at their turn they are skipped, unless they are finished by then.`
    : "It can be paused and cancelled; what was replayed by then stays.";
}
