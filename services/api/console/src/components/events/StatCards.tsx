import { Link } from "@tanstack/react-router";
import { api } from "@/lib/api";
import { compact, count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { STATUSES } from "./filters";

const EVERY_MS = 10_000;
const TONES = { pending: "", processing: "", processed: "", failed: "text-bad" } as const;

export function useStats(on: boolean) {
  const query = api.useQuery("get", "/events/stats", {}, { refetchOnWindowFocus: on });
  useLiveRefetch(
    on ? { kinds: ["event"] } : null,
    () => query.refetch({ cancelRefetch: false }),
    EVERY_MS,
  );
  return query;
}

type Stats = ReturnType<typeof useStats>["data"];

/** All events by status, whatever the list is narrowed by. Each number leads to its events. */
export function StatCards({ stats, status }: { stats: Stats; status: string | undefined }) {
  return (
    <nav aria-label="Events by status" className="grid grid-cols-5 gap-1.5 sm:gap-2">
      <Card title="All" value={stats?.total} isCurrent={status === undefined} />
      {STATUSES.map((each) => (
        <Card
          key={each}
          title={each}
          value={stats?.[each]}
          status={each}
          isCurrent={status === each}
          tone={stats?.[each] ? TONES[each] : ""}
          note={
            each === "failed" && stats?.failed_last_24h
              ? `${count(stats.failed_last_24h)} in the last 24 h`
              : undefined
          }
        />
      ))}
    </nav>
  );
}

function Card({
  title,
  value,
  status,
  isCurrent,
  tone = "",
  note,
}: {
  title: string;
  value: number | undefined;
  status?: string;
  isCurrent: boolean;
  tone?: string;
  note?: string | undefined;
}) {
  return (
    <Link
      to="/events"
      search={(old) => ({ ...old, status })}
      preload={false}
      activeOptions={{ exact: true, includeSearch: true }}
      {...(isCurrent ? { "aria-current": "true" as const } : {})}
      title={value === undefined ? undefined : count(value)}
      className={`flex min-w-0 flex-col items-baseline gap-x-2 rounded-lg border bg-card px-1.5 py-1.5 sm:flex-row sm:flex-wrap sm:px-3 sm:py-2 hover:border-edge ${isCurrent ? "border-accent shadow-[inset_0_0_0_1px_var(--accent)]" : "border-line"}`}
    >
      <span className={`tabular font-semibold text-lg leading-6 ${tone}`}>
        {value === undefined ? "–" : compact(value)}
      </span>
      <span className="text-[11px] text-soft sm:text-xs">{title}</span>
      {note && <span className="hidden truncate text-soft text-xs xl:inline">{note}</span>}
    </Link>
  );
}
