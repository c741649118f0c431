import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { JsonEditor } from "@/components/editor/JsonEditor";
import { NO_WORDS } from "@/components/editor/words";
import { Field, Input, Select, Switch } from "@/components/Fields";
import { Card } from "@/components/Page";
import { Failed, Loading } from "@/components/States";
import { ago, useNow } from "@/lib/time";
import type { Flaws } from "./draft";
import { EvaluationView } from "./Evaluation";
import type { Bench, Subject } from "./useBench";
import { RECENT, type RecentEvent, useRecentEvents } from "./useVocabulary";

const PASTED = "pasted";
type Props = {
  bench: Bench;
  subject: Subject;
  onSubject: (subject: Subject) => void;
  eventType: string;
  both: boolean;
  onBoth: (both: boolean) => void;
  flaws: Flaws;
};

/** A draft on one event, by itself after each edit: matched or not, why, and what it would do. */
export function BenchPanel(props: Props) {
  const { bench, subject, both, onBoth, flaws } = props;
  const { result } = bench;
  return (
    <Card title="Test bench" aside={<span className="text-xs">Sends and stores nothing</span>}>
      <div className="flex flex-col gap-4">
        <SubjectField {...props} />
        <p role="status" className="sr-only">
          {verdict(bench)}
        </p>
        <div className="flex min-w-0 flex-col gap-3">
          {!bench.ready && (
            <p className="text-soft text-sm">It is tested once the JSON is complete.</p>
          )}
          {bench.refused && (
            <p className="text-bad text-sm">
              The api does not take it yet:{" "}
              {flaws.condition.length + flaws.actions.length > 0
                ? "see the marked places."
                : "see what is said at the fields."}
            </p>
          )}
          {bench.refused && flaws.rest.length > 0 && (
            <ul className="list-inside list-disc text-bad text-sm">
              {flaws.rest.map(({ pointer, detail }) => (
                <li key={`${pointer}${detail}`} className="break-words">
                  <code className="font-mono text-[13px]">{pointer}</code> {detail}
                </li>
              ))}
            </ul>
          )}
          {bench.error && !bench.refused ? (
            <Failed error={bench.error} retry={bench.retry} />
          ) : null}
          {result && !bench.refused && (
            <div aria-busy={bench.stale}>
              <EvaluationView
                evaluation={result.test}
                condition={result.condition}
                eventType={result.test.event_type}
              />
              <Compared test={result.test} />
            </div>
          )}
          {!result && bench.ready && !bench.error && <Loading rows={3} />}
        </div>
        <Switch label="Compare both engines" checked={both} onChange={onBoth} />
        {"event_id" in subject && (
          <p className="text-xs">
            <Link
              to="/events/$id"
              params={{ id: subject.event_id }}
              className="text-accent underline"
            >
              Open this event
            </Link>
          </p>
        )}
      </div>
    </Card>
  );
}

/** All that is read out after an edit; what it rests on is there to be read when wanted. */
function verdict({ ready, refused, stale, error, result }: Bench): string {
  if (!ready || stale) return "";
  if (refused) return "The api does not take it yet.";
  if (error) return "The test could not be made.";
  const outcome = result?.test.outcome;
  return outcome === undefined ? "" : `Test: ${outcome.replace("_", " ")}.`;
}

function SubjectField({ subject, onSubject, eventType, flaws }: Props) {
  const { may, query, events } = useRecentEvents(eventType);
  const chosen = "event_id" in subject ? subject.event_id : PASTED;
  const listed = events?.some((event) => event.id === chosen);
  const pasted = "payload" in subject ? subject : { payload: "{}", type: "" };
  const choose = (value: string) => {
    if (value !== PASTED) return onSubject({ event_id: value });
    const from = events?.find((event) => event.id === chosen) ?? events?.[0];
    onSubject({
      payload: from ? JSON.stringify(from.data, null, 2) : pasted.payload,
      type: from?.type ?? "",
    });
  };
  return (
    <div className="flex flex-col gap-3">
      <Field
        label="Test on"
        hint={
          may && events?.length === 0
            ? `No event of type ${eventType || "…"} is among the newest; a payload is tested instead.`
            : undefined
        }
      >
        {(props) => (
          <Select {...props} value={chosen} onChange={(event) => choose(event.target.value)}>
            <option value={PASTED}>A payload of my own</option>
            {chosen !== PASTED && !listed && <option value={chosen}>event {chosen}</option>}
            {events && events.length > 0 && (
              <optgroup
                label={events.length < RECENT ? "Recent events" : `Newest ${RECENT} events`}
              >
                {events.map((event) => (
                  <EventOption key={event.id} event={event} />
                ))}
              </optgroup>
            )}
          </Select>
        )}
      </Field>
      {may && query.error && !query.data ? (
        <p className="text-bad text-xs">Recent events could not be read: {query.error.detail}</p>
      ) : null}
      {"payload" in subject && (
        <>
          <Field label="Type of the event" hint="Left empty: one that the rule looks at.">
            {(props) => (
              <Input
                {...props}
                className="font-mono"
                value={subject.type}
                onChange={(event) => onSubject({ ...subject, type: event.target.value })}
              />
            )}
          </Field>
          <JsonEditor
            label="Payload"
            value={subject.payload}
            onChange={(payload) => onSubject({ ...subject, payload })}
            diagnostics={flaws.event}
            completions={NO_WORDS}
            height="9rem"
          />
        </>
      )}
    </div>
  );
}

function EventOption({ event }: { event: RecentEvent }) {
  const now = useNow();
  // The clock ticks every second; fifty payloads need not be written anew for it.
  const short = useMemo(() => {
    const data = JSON.stringify(event.data) ?? "";
    return data.length > 60 ? `${data.slice(0, 59)}…` : data;
  }, [event.data]);
  return (
    <option value={event.id}>
      {event.type} {short} ({ago(event.received_at, now)})
    </option>
  );
}

function Compared({ test }: { test: NonNullable<Bench["result"]>["test"] }) {
  const other = test.compared_with;
  if (other === null) return null;
  return (
    <p className={`mt-3 break-words text-sm ${other.agrees ? "" : "text-warn"}`}>
      {other.engine}{" "}
      {other.agrees ? "says the same" : `says otherwise: ${other.outcome.replace("_", " ")}`}
      {other.error ? ` (${other.error.class}: ${other.error.message})` : ""}
      {other.flaws.map((flaw) => ` ${flaw.pointer}: ${flaw.message}`).join(";")}
      {other.duration_us === null ? "" : `, in ${other.duration_us} µs`}.
    </p>
  );
}
