import { Status } from "@/components/Badge";
import { Card, Facts } from "@/components/Page";
import { Progress } from "@/components/Progress";
import { Time } from "@/components/Time";
import { count, rate } from "@/lib/format";
import { duration } from "@/lib/time";
import { isOver, type Job } from "./words";

/** The answer of the page: how far it is, how fast, how long still. All of it as the api says it. */
export function JobProgress({ job }: { job: Job }) {
  return (
    <Card>
      <div className="flex flex-col gap-4">
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <Status of={job.state} />
          <div className="min-w-48 flex-1">
            {job.total === null ? (
              <p className="tabular text-sm">
                {count(job.examined)} looked at; how many there are could not be counted in time.
              </p>
            ) : (
              <Progress done={job.examined} total={job.total} label="Events looked at" />
            )}
          </div>
          <p className="tabular text-soft text-sm">{pace(job)}</p>
        </div>
        {job.error !== null && (
          <p role="alert" className="rounded-md bg-bad-tint p-3 text-bad text-sm">
            It stopped: <span className="break-words">{job.error}</span>
          </p>
        )}
        <Counts job={job} />
        {job.notes.length > 0 && (
          <ul className="list-inside list-disc text-soft text-sm">
            {job.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        )}
      </div>
    </Card>
  );
}

function pace(job: Job): string {
  const speed = job.events_per_second === null ? "" : rate(job.events_per_second);
  if (job.state === "running" || job.state === "queued") {
    const left = job.eta_seconds === null ? "" : `about ${duration(job.eta_seconds * 1000)} left`;
    return [speed, left].filter(Boolean).join(", ");
  }
  return speed && isOver(job) ? `${speed} on average` : "";
}

/** The api's own sum: looked at = replayed and the kinds of skipped. */
function Counts({ job }: { job: Job }) {
  const all: [string, number, boolean][] = [
    ["Replayed", job.replayed, true],
    ["Skipped: not finished", job.skipped_open, false],
    ["Skipped: data expired", job.skipped_expired, false],
    ["Skipped: never applied", job.skipped_unapplied, false],
  ];
  return (
    <dl className="flex flex-wrap gap-x-10 gap-y-3">
      {all
        .filter(([, number, always]) => always || number > 0)
        .map(([name, number]) => (
          <div key={name}>
            <dt className="text-soft text-xs">{name}</dt>
            <dd className="tabular font-semibold text-lg">{count(number)}</dd>
          </div>
        ))}
    </dl>
  );
}

export function JobTimes({ job }: { job: Job }) {
  return (
    <Facts
      facts={[
        ["Asked for", <Time key="asked" at={job.created_at} show="exact" />],
        [
          "Started",
          job.started_at ? <Time key="at" at={job.started_at} show="exact" /> : "not yet",
        ],
        [
          "Ended",
          job.finished_at ? <Time key="end" at={job.finished_at} show="exact" /> : "not yet",
        ],
      ]}
    />
  );
}
