import { Link } from "@tanstack/react-router";
import { api, type Schemas } from "@/lib/api";
import { compact, count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import type { Search } from "@/lib/search";
import { duration } from "@/lib/time";
import { Loaded } from "../States";
import { MEANS, STATES, type State } from "./words";

const EVERY_MS = 5_000;
const LIVE_EVERY_MS = 2_000;

export function useDeliveryStats() {
  const query = api.useQuery("get", "/deliveries/stats", {}, { refetchInterval: EVERY_MS });
  useLiveRefetch(
    { kinds: ["delivery"] },
    () => query.refetch({ cancelRefetch: false }),
    LIVE_EVERY_MS,
  );
  return query;
}

type Stats = Schemas["DeliveryStats"];

/** The ledger by state; each number is a link to what it counts, and to nothing narrower. */
export function StateCards({
  query,
  search,
}: {
  query: ReturnType<typeof useDeliveryStats>;
  search: Search;
}) {
  const alone = Object.keys(search).length === 1;
  return (
    <Loaded query={query} rows={2}>
      {(stats) => (
        <nav
          aria-label="Deliveries by state"
          className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 xl:grid-cols-6"
        >
          {STATES.map((each) => (
            <StateCard
              key={each}
              state={each}
              stats={stats}
              chosen={alone && each === search.state}
            />
          ))}
        </nav>
      )}
    </Loaded>
  );
}

const LOUD: Partial<Record<State, string>> = { failed: "text-bad", unknown: "text-warn" };

function StateCard({ state, stats, chosen }: { state: State; stats: Stats; chosen: boolean }) {
  const { number, text } = numberOf(state, stats);
  return (
    <Link
      to="/deliveries"
      search={chosen ? {} : { state }}
      aria-current={chosen ? "true" : undefined}
      className={`flex min-w-0 flex-col px-4 py-3 -outline-offset-2 hover:bg-sunken ${chosen ? "bg-accent-tint" : "bg-card"}`}
    >
      <span className="text-soft text-xs">{state}</span>
      <span
        title={number === null ? undefined : count(number)}
        className={`tabular font-semibold text-xl ${number ? (LOUD[state] ?? "") : ""}`}
      >
        {text}
      </span>
      <span className="truncate text-soft text-xs">{hintOf(state, stats)}</span>
    </Link>
  );
}

function numberOf(state: State, stats: Stats): { number: number | null; text: string } {
  if (state === "confirmed") {
    const number = stats.confirmed_estimate;
    return { number, text: number === null ? "not counted" : `about ${compact(number)}` };
  }
  const found = stats.states.find((each) => each.state === state);
  if (!found) return { number: null, text: "–" };
  return { number: found.count, text: `${compact(found.count)}${found.capped ? "+" : ""}` };
}

function hintOf(state: State, stats: Stats): string {
  const age = stats.oldest_due_age_seconds;
  if (state === "pending" && age !== null && age >= 1) return `oldest due ${duration(age * 1_000)}`;
  return MEANS[state];
}
