import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Progress } from "@/components/Progress";
import { Failed } from "@/components/States";
import { count, plural } from "@/lib/format";
import { useNow } from "@/lib/time";
import type { Act } from "./Bulk";
import { listLetters, lookAt } from "./queries";
import type { Filter } from "./words";

const COUNTED_MAX = 200;
const EVERY_MS = 1_000;
const STUCK_MS = 15_000;

/** What was asked for is carried out by the services that own the stages: how far they are. */
export function BulkRun({
  act,
  filter,
  wider,
  requested,
  matched,
}: {
  act: Act;
  filter: Filter;
  /** The filter that was chosen: what fails again is made later than what was looked at. */
  wider: Filter;
  requested: number;
  matched: number;
}) {
  const waiting = useQuery({
    queryKey: ["requested", act, filter],
    queryFn: async ({ signal }) => {
      const { rows, next } = await listLetters({
        filter,
        state: act === "redrive" ? "redrive_requested" : "discard_requested",
        limit: COUNTED_MAX,
        signal,
      });
      return { count: rows.length, more: next !== null };
    },
    gcTime: 0,
    refetchInterval: ({ state }) => (state.data?.count === 0 ? false : EVERY_MS),
  });
  const left = waiting.data;
  const done = left?.count === 0;
  const carried = left === undefined || left.more ? 0 : Math.max(0, requested - left.count);
  return (
    <div className="flex flex-col gap-4 text-sm" role="status">
      <p className="font-medium text-base">
        {done
          ? `${act === "redrive" ? "Redriven" : "Discarded"}: all ${count(requested)} were carried out.`
          : `${plural(requested, "dead letter")} ${act === "redrive" ? "will be redriven" : "will be discarded"}.`}
      </p>
      {matched > requested && (
        <p className="text-soft">
          {count(matched - requested)} more matched and were left as they are.
        </p>
      )}
      {left?.more ? (
        <p className="text-soft">More than {COUNTED_MAX} are still to be carried out.</p>
      ) : (
        <Progress done={carried} total={requested} label="Carried out" />
      )}
      {waiting.error && <Failed error={waiting.error} retry={() => void waiting.refetch()} />}
      {!done && left && <Stuck left={left.count} />}
      {!done && (
        <p className="text-soft">
          You may close this: the request is stored, and the services go on without you.
        </p>
      )}
      {done && act === "redrive" && <Result filter={wider} />}
    </div>
  );
}

/** Nobody seems to work on it: says so rather than turning for ever. */
function Stuck({ left }: { left: number }) {
  const now = useNow();
  const since = useRef(now);
  // biome-ignore lint/correctness/useExhaustiveDependencies: every change of the number begins anew
  useEffect(() => {
    since.current = Date.now();
  }, [left]);
  if (now - since.current < STUCK_MS) return null;
  return (
    <p className="rounded-md bg-warn-tint px-3 py-2 text-warn">
      Nothing has moved for a while: the service that owns this stage may be down, or a record waits
      for an earlier one of its key.
    </p>
  );
}

/** A redrive may fail again: what matches the same filter now is the honest answer. */
function Result({ filter }: { filter: Filter }) {
  const query = useQuery({
    queryKey: ["result", filter],
    queryFn: async () => (await lookAt(filter, 1))?.matched ?? 0,
    gcTime: 0,
    refetchInterval: EVERY_MS * 2,
  });
  const delivers = filter.stage === null || filter.stage === "delivery";
  return (
    <div className="flex flex-col gap-1">
      <p className="text-soft">
        They are tried again, which takes its time: one that fails once more comes back as an open
        dead letter.
      </p>
      {query.data !== undefined && (
        <p>
          {query.data === 0
            ? "No open dead letter matches this filter now."
            : `${plural(query.data, "open dead letter")} ${query.data === 1 ? "matches" : "match"} this filter now: what failed again, what is new, and what was left.`}
        </p>
      )}
      {delivers && (
        <p className="text-soft">
          Deliveries among them are due again; whether they arrive is told by the{" "}
          <Link
            to="/deliveries"
            search={{ state: "pending", destination: filter.destination ?? undefined }}
            className="text-accent underline"
          >
            pending deliveries
          </Link>
          .
        </p>
      )}
    </div>
  );
}
