import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useRef, useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Field, Input } from "@/components/Fields";
import { Failed } from "@/components/States";
import { api, Problem, type Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";
import { freshKey } from "./asked";

const RATE = 500;
const REASON_CHARACTERS = 1_000;

/** The last step: how fast and why, and the one button that does it. */
export function Start({
  body,
  preview,
  waiting,
}: {
  body: Schemas["PreviewBody"];
  preview: Schemas["Preview"];
  /** The preview of the newest choices is still on its way. */
  waiting: boolean;
}) {
  const [rate, setRate] = useState(String(RATE));
  const [reason, setReason] = useState("");
  const navigate = useNavigate();
  const start = api.useMutation("post", "/replays");
  const sent = useRef({ text: "", key: "" });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const job = { ...body, reason: reason.trim(), rate_per_second: Number(rate) };
    const text = JSON.stringify(job);
    if (sent.current.text !== text) sent.current = { text, key: freshKey() };
    start.mutate(
      { body: job, params: { header: { "Idempotency-Key": sent.current.key } } },
      {
        onSuccess: (made) => {
          toast.success("The replay was started.");
          void navigate({ to: "/replays/$id", params: { id: made.id } });
        },
      },
    );
  };
  const flaw = (pointer: string) =>
    start.error instanceof Problem
      ? start.error.faults.find((fault) => fault.pointer === pointer)?.detail
      : undefined;
  const forced = body.effects === "force";
  const ready = reason.trim() !== "" && Number(rate) > 0 && preview.count > 0 && !waiting;
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
      {start.error && <Failed error={start.error} />}
      <div className="flex flex-wrap items-center gap-3">
        <Button
          type="submit"
          look={forced ? "danger" : "primary"}
          disabled={!ready || start.isPending}
        >
          Replay {plural(preview.replayable, "event")}
          {forced ? " and send again" : ""}
        </Button>
        <p className="text-soft text-sm">
          {preview.count === 0
            ? "There is no event to replay: change the filter."
            : forced
              ? `${plural(preview.would_send_again, "delivery", "deliveries")} that receivers have had already go out again. What was sent cannot be taken back.`
              : preview.count > preview.replayable
                ? `${count(preview.count - preview.replayable)} of the events found are not finished or have no data: at their turn they are skipped, unless they are finished by then.`
                : "It can be paused and cancelled; what was replayed by then stays."}
        </p>
      </div>
    </form>
  );
}
