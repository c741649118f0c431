import { useQuery } from "@tanstack/react-query";
import { api, client } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";
import type { Search } from "@/lib/search";
import { requireKnown } from "../deliveries/known";
import { useRows } from "../deliveries/rows";
import {
  endingAfter,
  type Filter,
  filterOf,
  type Group,
  isEmpty,
  isLetterState,
  LETTER_STATES,
  type Letter,
  type LetterState,
  STAGES,
  searchOf,
} from "./words";

const PAGE_ROWS = 100;
const EVERY_MS = 5_000;
const EXAMPLE_STALE_MS = 60_000;

export function useLetterGroups() {
  const query = api.useQuery("get", "/dead-letters/stats", {}, { refetchInterval: EVERY_MS });
  useLiveRefetch({ kinds: ["dead_letter"] }, () => query.refetch({ cancelRefetch: false }));
  return query;
}

/** One page of letters in one state, or in any. */
export async function listLetters({
  filter,
  state,
  limit,
  cursor,
  signal,
}: {
  filter: Filter;
  state: LetterState | null;
  limit: number;
  cursor?: string | undefined;
  signal?: AbortSignal | undefined;
}): Promise<{ rows: Letter[]; next: string | null }> {
  const said = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== null));
  const query = { ...said, limit, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) };
  const { data } = await client.GET("/dead-letters", {
    params: { query },
    ...(signal ? { signal } : {}),
  });
  return { rows: data?.dead_letters ?? [], next: data?.next_cursor ?? null };
}

/**
 * A filter that ends at the newest letter that it finds now, so that what is looked at and what is
 * then done mean the same. By the letter's own clock: the browser's may be wrong.
 */
export async function fixedAtNewest(filter: Filter): Promise<Filter> {
  const newest = (await listLetters({ filter, state: "open", limit: 1 })).rows[0];
  return newest === undefined ? filter : endingAfter(filter, newest.created_at);
}

/** What a redrive or a discard would mean: a look is the same for both and needs no reason. */
export async function lookAt(filter: Filter, limit: number) {
  const body = { filter, all: isEmpty(filter), limit, dry_run: true };
  return (await client.POST("/dead-letters/redrive", { body })).data;
}

/** What the list shows when the address says no state: what is open. */
export function stateOf(search: Search): LetterState | null {
  if (search.state === "all") return null;
  return isLetterState(search.state) ? search.state : "open";
}

export function useLetters(search: Search) {
  const filter = filterOf(search);
  const state = stateOf(search);
  return useRows<Letter>({
    key: ["rows", "/dead-letters", filter, search.state, search.stage, search.untyped],
    kind: "dead_letter",
    load: async (cursor, signal) => {
      requireKnown(search, {
        stage: STAGES,
        state: [...LETTER_STATES, "all"],
        untyped: ["true", "false"],
      });
      return await listLetters({ filter, state, limit: PAGE_ROWS, cursor, signal });
    },
  });
}

/** The newest open letter of a group, and of a delivery's the place that it was to reach. */
export function useExample(group: Group) {
  const filter = filterOf(searchOf(group));
  const letter = useQuery({
    queryKey: ["example", filter],
    queryFn: async ({ signal }) => {
      const { rows } = await listLetters({ filter, state: "open", limit: 1, signal });
      return rows[0] ?? null;
    },
    staleTime: EXAMPLE_STALE_MS,
  });
  const id = letter.data?.delivery_id ?? null;
  const delivery = api.useQuery(
    "get",
    "/deliveries/{delivery_id}",
    { params: { path: { delivery_id: id ?? "" } } },
    { enabled: id !== null, staleTime: EXAMPLE_STALE_MS },
  );
  return { letter: letter.data ?? null, delivery: delivery.data ?? null };
}
