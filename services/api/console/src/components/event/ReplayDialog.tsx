import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Select, Textarea } from "@/components/Fields";
import { Failed, Faults, Loading } from "@/components/States";
import { api, Problem, type Schemas } from "@/lib/api";
import { RequestKeys } from "@/lib/freshKey";
import { useMay } from "@/lib/session";
import { Choices } from "./Choices";
import { type Timeline, textOf } from "./entries";
import { Forecast } from "./Forecast";
import { openLetters } from "./outcome";
import { Pinned } from "./Pinned";
import { isFinished } from "./useEvent";
import { type Choice, useForecast } from "./useForecast";

type EventRow = Schemas["EventRow"];
const REASON_CHARACTERS_MAX = 1000;

type Props = {
  event: EventRow;
  timeline: Timeline | undefined;
  /** The payload that was chosen before, by its number. */
  receipt: number | null;
  onClose: () => void;
  onDone: (replay: number) => void;
};

/** Asks how an event is processed once more, and says beforehand what that does. */
export function ReplayDialog({ event, timeline, receipt, onClose, onDone }: Props) {
  const mayForce = useMay("replay:force");
  const mayTest = useMay("rules:read");
  const receipts = useReceipts(event);
  const [chosenReceipt, setReceipt] = useState(receipt);
  const [choice, setChoice] = useState<Omit<Choice, "receipt">>({
    mode: "current",
    effects: "dedupe",
    versions: {},
  });
  const [reason, setReason] = useState("");
  const [keys] = useState(() => new RequestKeys());
  const kept = receipts.fitting.find(({ id }) => id === chosenReceipt) ?? null;
  const lacksReceipt = chosenReceipt !== null && kept === null;
  const { mode, effects, versions } = choice;
  const nothingPinned = mode === "pinned" && Object.keys(versions).length === 0;
  const whole: Choice | null = lacksReceipt || nothingPinned ? null : { ...choice, receipt: kept };
  const forecast = useForecast(event, whole, mayTest);
  // What is pressed is what was said: the forecast of exactly this, or that there is none.
  const isForeseen = whole !== null && (forecast.data !== undefined || forecast.isError);
  const replay = api.useMutation("post", "/events/{event_id}/replay");
  const change = (part: Partial<Omit<Choice, "receipt">>) => {
    setChoice({ ...choice, ...part });
    replay.reset();
  };
  const lacksReason = effects === "force" && reason.trim() === "";
  const blocked = whyNot(event);
  const run = () => {
    const body = {
      mode,
      effects,
      rule_versions: mode === "pinned" ? versions : null,
      receipt: chosenReceipt,
      reason: reason.trim() || null,
    };
    replay.mutate(
      {
        params: { path: { event_id: event.id }, header: { "Idempotency-Key": keys.of(body) } },
        body,
      },
      {
        onSuccess: (made) => {
          toast.success(`Replay ${made.replay} is on its way.`);
          onDone(made.replay);
        },
      },
    );
  };
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title="Replay this event"
      lead="It is processed once more, the same way as the first time, and its history is kept."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look={effects === "force" ? "danger" : "primary"}
            disabled={blocked !== null || !isForeseen || lacksReason || replay.isPending}
            onClick={run}
          >
            {effects === "force" ? "Replay and send again" : "Replay"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        {blocked !== null && (
          <p role="status" className="rounded-md bg-warn-tint px-3 py-2 text-sm text-warn">
            {blocked}
          </p>
        )}
        <Choices mode={mode} effects={effects} mayForce={mayForce} onChange={change} />
        {mode === "pinned" && (
          <Pinned
            eventId={event.id}
            versions={versions}
            onChange={(next) => change({ versions: next })}
            error={nothingPinned ? "Choose at least one rule." : undefined}
          />
        )}
        {(receipts.fitting.length > 0 || lacksReceipt) && (
          <Field label="Payload" hint="Other payloads came under this id and were kept.">
            {(props) => (
              <Select
                {...props}
                value={chosenReceipt ?? ""}
                onChange={({ target }) => {
                  setReceipt(target.value === "" ? null : Number(target.value));
                  change({});
                }}
              >
                <option value="">The event's own</option>
                {lacksReceipt && <option value={chosenReceipt}>Receipt {chosenReceipt}</option>}
                {receipts.fitting.map(({ id, payload_hash: hash }) => (
                  <option key={id} value={id}>
                    Receipt {id} ({hash.slice(0, 12)}…)
                  </option>
                ))}
              </Select>
            )}
          </Field>
        )}
        {lacksReceipt && <PayloadAway id={chosenReceipt} query={receipts.query} />}
        <Forecast query={forecast} mode={mode} effects={effects} waits={whole === null} />
        <Field
          label={effects === "force" ? "Reason" : "Reason (optional)"}
          hint="It stands in the event's history and in the audit log."
        >
          {(props) => (
            <Textarea
              {...props}
              value={reason}
              required={effects === "force"}
              maxLength={REASON_CHARACTERS_MAX}
              className="min-h-16"
              onChange={({ target }) => setReason(target.value)}
            />
          )}
        </Field>
        {replay.error !== null && <Refused error={replay.error} timeline={timeline} />}
      </div>
    </Dialog>
  );
}

/** The payloads that can run in the place of the event's own. */
function useReceipts(event: EventRow) {
  const params = { path: { event_id: event.id } };
  const query = api.useQuery("get", "/events/{event_id}/receipts", { params });
  const fitting = (query.data?.receipts ?? []).filter(
    ({ type, subject }) => type === event.type && subject === event.subject,
  );
  return { query, fitting };
}

/** The chosen payload is not here, so nobody can say what it would do, and it is not replayed. */
function PayloadAway({
  id,
  query,
}: {
  id: number;
  query: ReturnType<typeof useReceipts>["query"];
}) {
  if (query.error) return <Failed error={query.error} retry={() => query.refetch()} />;
  if (query.data === undefined) return <Loading rows={1} />;
  return (
    <p role="status" className="rounded-md bg-warn-tint px-3 py-2 text-sm text-warn">
      Receipt {id} is not there, or has another type or subject: choose another payload.
    </p>
  );
}

function whyNot(event: EventRow): string | null {
  if (event.payload_expired_at !== null)
    return "Its payload has expired: there is nothing to replay.";
  if (!isFinished(event.status))
    return `The event is ${event.status}. It can be replayed as soon as it is processed or failed.`;
  return null;
}

/** Why the api did not do it, and where to go on. */
function Refused({ error, timeline }: { error: unknown; timeline: Timeline | undefined }) {
  const problem = error instanceof Problem ? error : null;
  const letter = openLetters(timeline?.entries ?? []).map((entry) => textOf(entry, "id"))[0];
  return (
    <div role="alert" className="rounded-md bg-bad-tint p-3 text-sm">
      <p className="font-medium text-bad">{problem?.title ?? "The replay was not asked for"}</p>
      <p className="break-words">{error instanceof Error ? error.message : String(error)}</p>
      <Faults error={error} />
      {problem?.slug === "dead-letter-open" && letter && (
        <Link
          to="/dead-letters"
          search={{ letter }}
          className="text-accent underline underline-offset-2"
        >
          Go to the dead letter
        </Link>
      )}
    </div>
  );
}
