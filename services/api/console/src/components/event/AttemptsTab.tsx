import { Badge, Status } from "@/components/Badge";
import { Code } from "@/components/Code";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { duration } from "@/lib/time";
import { Executions } from "./Executions";

type Attempt = Schemas["Attempt"];

/** Every attempt at processing the event, newest first, with what each rule said. */
export function AttemptsTab({ eventId }: { eventId: string }) {
  const params = { path: { event_id: eventId } };
  const query = api.useQuery("get", "/events/{event_id}/attempts", { params });
  return (
    <Loaded query={query}>
      {({ attempts, rule_executions_cut_off: cutOff }) => (
        <div className="flex flex-col gap-4">
          {attempts.length === 0 && (
            <Card flush>
              <Empty title="Not processed yet">
                An attempt appears as soon as a consumer has taken the event.
              </Empty>
            </Card>
          )}
          {cutOff && (
            <p className="rounded-md bg-warn-tint px-4 py-2 text-sm text-warn">
              Not every rule is shown: there are too many for one page.
            </p>
          )}
          {attempts.toReversed().map((attempt) => (
            <OneAttempt
              key={`${attempt.replay}/${attempt.attempt_no}`}
              attempt={attempt}
              eventId={eventId}
            />
          ))}
        </div>
      )}
    </Loaded>
  );
}

function OneAttempt({ attempt, eventId }: { attempt: Attempt; eventId: string }) {
  const run = attempt.replay === 0 ? "First run" : `Replay ${attempt.replay}`;
  return (
    <Card
      flush
      title={
        <span className="flex flex-wrap items-center gap-2">
          {run}, attempt {attempt.attempt_no} <Status of={attempt.status} />
          {attempt.injected && <Badge tone="warn">a fault on purpose</Badge>}
        </span>
      }
      aside={
        <span>
          <Time at={attempt.finished_at} /> ·{" "}
          <span className="tabular">{duration(attempt.duration_ms)}</span> · {attempt.trigger} ·{" "}
          {attempt.consumer}
        </span>
      }
    >
      {attempt.error_class !== null && <Failure attempt={attempt} />}
      {attempt.rule_executions.length === 0 ? (
        <p className="p-4 text-soft text-sm">
          {attempt.status === "success"
            ? "No rule looks at events of this type."
            : "What rules said was rolled back with the attempt."}
        </p>
      ) : (
        <Executions executions={attempt.rule_executions} eventId={eventId} />
      )}
    </Card>
  );
}

function Failure({ attempt }: { attempt: Attempt }) {
  return (
    <div className="flex flex-col gap-2 border-line border-b bg-bad-tint/50 px-4 py-3 text-sm">
      <p className="break-words">
        <span className="font-medium text-bad">{attempt.error_class}</span>
        {attempt.error_message && `: ${attempt.error_message}`}
      </p>
      {attempt.error_stack !== null && (
        <details>
          <summary className="cursor-pointer text-soft">Stack trace</summary>
          <div className="mt-2">
            <Code text={attempt.error_stack} label="Stack trace" />
          </div>
        </details>
      )}
    </div>
  );
}
