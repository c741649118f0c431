import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { Failed } from "@/components/States";
import { client, type Schemas } from "@/lib/api";
import { compact, count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { type EventFilters, queryOf } from "./filters";

const EVERY_MS = 10_000;
const SHOWN = 8;
const GROUPS = ["status", "type", "source"] as const;
type Group = (typeof GROUPS)[number];

/** What the events of the present filter are made of, as the api counts them. */
export function useFacets(filters: EventFilters, on: boolean) {
  const text = queryOf(filters);
  const query = useQuery({
    queryKey: ["events", "facets", text],
    queryFn: async ({ signal }) => {
      const { data } = await client.GET("/events/facets", {
        querySerializer: () => text,
        signal,
      });
      return data;
    },
    placeholderData: keepPreviousData,
    staleTime: EVERY_MS,
    refetchOnWindowFocus: on,
  });
  useLiveRefetch(
    on ? { kinds: ["event"] } : null,
    () => query.refetch({ cancelRefetch: false }),
    EVERY_MS,
  );
  return query;
}

type Props = {
  query: { data: Schemas["Facets"] | undefined; error: unknown; refetch: () => unknown };
  filters: EventFilters;
  change: (changes: EventFilters) => void;
};

export function Facets({ query, filters, change }: Props) {
  const facets = query.data;
  if (facets === undefined) {
    return query.error ? <Failed error={query.error} retry={query.refetch} /> : null;
  }
  return (
    <div className="flex flex-col gap-4 text-sm">
      {GROUPS.map((group) => (
        <Values
          key={group}
          group={group}
          facet={facets[group]}
          chosen={filters[group]}
          choose={(value) => change({ [group]: value })}
        />
      ))}
      <p className="text-soft text-xs">
        {facets.exact
          ? `Counted in all ${count(facets.looked_at)} that match.`
          : `Counted in the newest ${count(facets.looked_at)} that match.`}
      </p>
    </div>
  );
}

function Values({
  group,
  facet,
  chosen,
  choose,
}: {
  group: Group;
  facet: Schemas["Facet"];
  chosen: string | undefined;
  choose: (value: string) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  const values = isOpen ? facet.values : facet.values.slice(0, SHOWN);
  if (values.length === 0) return null;
  return (
    <section aria-label={`By ${group}`}>
      <h2 className="px-2 pb-1 font-medium text-soft text-xs first-letter:uppercase">{group}</h2>
      <ul className="flex flex-col">
        {values.map(({ value, count: number }) => (
          <li key={value}>
            <button
              type="button"
              aria-pressed={value === chosen}
              title={value}
              onClick={() => choose(value === chosen ? "" : value)}
              className="flex w-full items-center gap-2 rounded px-2 py-1 text-left text-[13px] hover:bg-sunken aria-pressed:bg-accent-tint aria-pressed:font-medium"
            >
              <span className="min-w-0 flex-1 truncate">{value}</span>
              <span className="tabular text-soft text-xs" title={count(number)}>
                {compact(number)}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {facet.values.length > SHOWN && (
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
          className="flex min-h-[26px] items-center gap-1 rounded px-2 py-1 text-soft text-xs hover:text-ink"
        >
          <ChevronRight aria-hidden className={`size-3 ${isOpen ? "-rotate-90" : "rotate-90"}`} />
          {isOpen ? "Fewer" : `${facet.values.length - SHOWN} more`}
        </button>
      )}
    </section>
  );
}
