import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { count } from "@/lib/format";
import { duration } from "@/lib/time";
import { placeOf } from "./words";

const SHOWN_FIRST = 4;

/** Where deliveries are held up, and by what. Says nothing when nothing is. */
export function Backlogs({
  backlogs,
  names,
}: {
  backlogs: Schemas["Backlog"][];
  names: Map<string, string>;
}) {
  const [all, setAll] = useState(false);
  const held = backlogs.filter(
    (each) => each.open_until !== null || each.paused_until !== null || isLate(each),
  );
  if (held.length === 0) return null;
  const shown = all ? held : held.slice(0, SHOWN_FIRST);
  return (
    <Card title="Where deliveries wait" flush className="overflow-hidden">
      <ul className="-mb-px grid text-sm lg:grid-cols-2">
        {shown.map((each) => (
          <li
            key={each.destination}
            className="flex flex-wrap items-baseline justify-between gap-x-4 border-line border-b px-4 py-2"
          >
            <span className="min-w-0 max-w-full truncate">
              {each.target_id ? (
                <Link
                  to="/targets/$id"
                  params={{ id: each.target_id }}
                  className="text-accent hover:underline"
                >
                  {placeOf(each, names.get(each.target_id))}
                </Link>
              ) : (
                <Link
                  to="/deliveries"
                  search={{ destination: each.destination }}
                  className="text-accent hover:underline"
                >
                  {placeOf(each)}
                </Link>
              )}
            </span>
            <span className="text-soft">
              <Why backlog={each} />
              <span className="tabular ml-3 text-ink">
                {count(each.pending)}
                {each.pending_capped ? "+" : ""} waiting
              </span>
            </span>
          </li>
        ))}
      </ul>
      {shown.length < held.length && (
        <div className="border-line border-t px-4 py-1.5">
          <Button small look="quiet" onClick={() => setAll(true)}>
            Show {held.length - shown.length} more
          </Button>
        </div>
      )}
    </Card>
  );
}

function isLate(backlog: Schemas["Backlog"]): boolean {
  return (backlog.oldest_due_age_seconds ?? 0) >= 5;
}

function Why({ backlog }: { backlog: Schemas["Backlog"] }) {
  const { open_until: open, paused_until: paused, oldest_due_age_seconds: age } = backlog;
  if (open !== null && Date.parse(open) > Date.now())
    return (
      <>
        it keeps failing, one is tried <Time at={open} />
      </>
    );
  if (paused !== null && Date.parse(paused) > Date.now())
    return (
      <>
        it asked for a pause, goes on <Time at={paused} />
      </>
    );
  if (open !== null) return <>one is tried before the others</>;
  return age === null ? null : <>due for {duration(age * 1_000)}</>;
}
