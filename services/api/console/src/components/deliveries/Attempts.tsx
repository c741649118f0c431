import { Badge, Status } from "@/components/Badge";
import { Code } from "@/components/Code";
import { Facts } from "@/components/Page";
import { Time } from "@/components/Time";
import { duration } from "@/lib/time";
import { partsOf, totalOf } from "./phases";
import type { Attempt } from "./words";

/** What each attempt taught, the newest first. The bars share one scale. */
export function Attempts({ attempts }: { attempts: Attempt[] }) {
  const longest = Math.max(...attempts.map(({ phases }) => totalOf(phases)), 0);
  return (
    <ol className="divide-y divide-line" aria-label="Attempts, newest first">
      {attempts.toReversed().map((attempt) => (
        <li key={attempt.attempt_no} className="flex flex-col gap-2 px-4 py-3">
          <Head attempt={attempt} />
          {attempt.error_class && (
            <p className="break-words text-sm">
              <span className="font-medium">{attempt.error_class}</span>
              {attempt.error_message && `: ${attempt.error_message}`}
            </p>
          )}
          {attempt.late_answer && (
            <p className="break-words text-sm text-warn">
              A late answer came when another attempt had begun: {attempt.late_answer}. It changed
              nothing.
            </p>
          )}
          <Bar attempt={attempt} longest={longest} />
          <More attempt={attempt} />
        </li>
      ))}
    </ol>
  );
}

function Head({ attempt }: { attempt: Attempt }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
      <span className="tabular font-medium">Attempt {attempt.attempt_no}</span>
      <Status of={attempt.outcome} />
      {attempt.status_code !== null && (
        <span className="tabular">answered {attempt.status_code}</span>
      )}
      {attempt.injected && <Badge tone="warn">injected fault</Badge>}
      <span className="ml-auto text-soft">
        <Time at={attempt.finished_at} />
      </span>
    </div>
  );
}

function Bar({ attempt, longest }: { attempt: Attempt; longest: number }) {
  const parts = partsOf(attempt.phases);
  const total = totalOf(attempt.phases);
  if (parts.length === 0) return null;
  return (
    <div className="flex flex-col gap-1">
      <div aria-hidden className="h-1.5 overflow-hidden rounded-full bg-sunken">
        <div
          className="flex h-full"
          style={{ width: `${longest > 0 ? (total / longest) * 100 : 0}%` }}
        >
          {parts.map((part) => (
            <span
              key={part.name}
              className={`h-full min-w-px ${part.look}`}
              style={{ width: `${total > 0 ? (part.ms / total) * 100 : 0}%` }}
            />
          ))}
        </div>
      </div>
      <ul className="flex flex-wrap gap-x-3 text-soft text-xs">
        {parts.map((part) => (
          <li key={part.name} className="tabular inline-flex items-center gap-1">
            <span aria-hidden className={`size-2 rounded-full ${part.look}`} />
            {part.name} {duration(part.ms)}
          </li>
        ))}
        <li className="tabular ml-auto text-ink">{duration(total)}</li>
      </ul>
    </div>
  );
}

function More({ attempt }: { attempt: Attempt }) {
  const facts: [string, React.ReactNode][] = [
    ["Began", <Time key="began" at={attempt.started_at} show="exact" />],
    ["Sent to", attempt.url ?? "nothing was sent"],
    ...(attempt.address ? [["Address", attempt.address] as [string, string]] : []),
    ["Sent by", attempt.dispatcher],
  ];
  return (
    <details className="group text-sm">
      <summary className="w-fit cursor-pointer rounded text-accent text-xs hover:underline">
        Answer and details
      </summary>
      <div className="mt-2 flex flex-col gap-3">
        <Facts facts={facts} />
        {attempt.response_head ? (
          <Code text={attempt.response_head} label="head of the answer" />
        ) : (
          <p className="text-soft">No answer came, so there is none to show.</p>
        )}
        {attempt.response_body && (
          <Code text={attempt.response_body} label="beginning of the answer's body" />
        )}
      </div>
    </details>
  );
}
