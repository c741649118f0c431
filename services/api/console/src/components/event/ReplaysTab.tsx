import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { plural } from "@/lib/format";
import { Comparison } from "./Comparison";

type Run = Schemas["RunRow"];

const VERDICTS: Record<Run["verdict"], string> = {
  identical: "identical",
  diverged: "diverged",
  first: "first applied run",
  not_applied: "not applied",
};
const RULES = {
  current: "current rules",
  original: "the first run's rules",
  pinned: "chosen versions",
};
const EFFECTS = { dedupe: "nothing sent twice", force: "sent again", none: "nothing sent" };

/** The runs after the first, newest first, each with how it compares. */
export function ReplaysTab({
  eventId,
  open,
  onOpen,
  onReplay,
}: {
  eventId: string;
  open: string | undefined;
  onOpen: (replay: string | undefined) => void;
  onReplay?: () => void;
}) {
  const params = { path: { event_id: eventId } };
  const query = api.useQuery("get", "/events/{event_id}/replays", { params });
  return (
    <Card flush>
      <Loaded query={query}>
        {({ replays, cut_off: cutOff }) =>
          replays.length === 0 ? (
            <Empty
              title="Never replayed"
              actions={onReplay && <Button onClick={onReplay}>Replay this event</Button>}
            >
              A replay processes the event once more and compares the result with the first run.
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {replays.map((run) => (
                <One
                  key={run.replay}
                  run={run}
                  eventId={eventId}
                  open={open === String(run.replay)}
                  onToggle={(isOpen) => onOpen(isOpen ? String(run.replay) : undefined)}
                />
              ))}
              {cutOff && <li className="p-4 text-soft text-sm">Older ones are not shown.</li>}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

function One({
  run,
  eventId,
  open,
  onToggle,
}: {
  run: Run;
  eventId: string;
  open: boolean;
  onToggle: (open: boolean) => void;
}) {
  // A later run took its place before it was applied.
  const isSuperseded = run.superseded && run.verdict === "not_applied";
  return (
    <li className="text-sm">
      <button
        type="button"
        aria-expanded={open}
        onClick={() => onToggle(!open)}
        className="flex w-full flex-wrap items-center gap-x-3 gap-y-1 px-4 py-3 text-left hover:bg-sunken"
      >
        <ChevronRight aria-hidden className={`size-4 text-soft ${open ? "rotate-90" : ""}`} />
        <span className="font-medium">Replay {run.replay}</span>
        <Status
          of={isSuperseded ? "skipped" : run.verdict === "not_applied" ? "pending" : run.verdict}
        >
          {isSuperseded ? "superseded" : VERDICTS[run.verdict]}
        </Status>
        <span className="text-soft">
          by {RULES[run.mode]}, {EFFECTS[run.effects]}
          {run.receipt_id !== null && `, payload of receipt ${run.receipt_id}`}
        </span>
        <span className="text-soft sm:ml-auto">
          {plural(run.deliveries_made, "delivery", "deliveries")} made · {run.requested_by} ·{" "}
          <Time at={run.requested_at} />
        </span>
      </button>
      {open && (
        <div className="flex flex-col gap-3 px-4 pb-4 sm:pl-11">
          {run.reason !== null && <p className="break-words">Reason: {run.reason}</p>}
          {run.failed_attempts > 0 && (
            <p>{plural(run.failed_attempts, "attempt")} of this run failed.</p>
          )}
          {run.job_id !== null && (
            <Link
              to="/replays/$id"
              params={{ id: run.job_id }}
              className="text-accent underline underline-offset-2"
            >
              It was part of a bulk replay
            </Link>
          )}
          <Comparison eventId={eventId} replay={run.replay} />
        </div>
      )}
    </li>
  );
}
