import {
  infiniteQueryOptions,
  keepPreviousData,
  useInfiniteQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { client, type Fault, Problem } from "@/lib/api";
import { type EventFilters, queryOf } from "./filters";
import { type EventItem, itemOf, type ListPage, type Pages, patch, reuse } from "./rows";

export const PAGE_ROWS = 100;

async function readPage(
  filters: EventFilters,
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<ListPage> {
  const more = { limit: String(limit), ...(cursor === null ? {} : { cursor }) };
  // The address may say what the api refuses: it goes there as it is, and the answer tells.
  const { data } = await client.GET("/events", {
    querySerializer: () => queryOf(filters, more),
    signal,
  });
  if (data === undefined) throw new Problem(0, "unreachable", "The api did not answer", "");
  return { events: data.events.map(itemOf), next_cursor: data.next_cursor };
}

/** The status of one event as it is now; null when it is gone. */
async function readItem(id: string): Promise<EventItem | null> {
  try {
    const { data } = await client.GET("/events/{event_id}", { params: { path: { event_id: id } } });
    return data === undefined ? null : itemOf(data);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

function listOptions(filters: EventFilters, text: string) {
  return infiniteQueryOptions({
    queryKey: ["events", "list", text],
    queryFn: ({ pageParam, signal }) => readPage(filters, pageParam, PAGE_ROWS, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page: ListPage) => page.next_cursor,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

const NONE: Fault[] = [];

/** What the api refused of the filter. Who asks for it is not drawn again when pages come. */
export function useRefused(filters: EventFilters): Fault[] {
  const { error } = useInfiniteQuery(listOptions(filters, queryOf(filters)));
  return error instanceof Problem ? error.faults : NONE;
}

/**
 * The rows of a filter, page after page. Nothing here changes by itself: `refresh` reads the first
 * page anew and drops the rest, `reread` brings single rows up to date where they stand.
 */
export function useEventList(filters: EventFilters) {
  const queries = useQueryClient();
  const text = queryOf(filters);
  const query = useInfiniteQuery(listOptions(filters, text));
  const queryKey = useMemo(() => ["events", "list", text], [text]);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.events) ?? [], [query.data]);
  const latest = useRef({ filters, queryKey, rows });
  latest.current = { filters, queryKey, rows };

  const acts = useMemo(
    () => ({
      /** Read the first page again and show it; null: the filter is another one by now. */
      async refresh(): Promise<ListPage | null> {
        const asked = latest.current;
        await queries.cancelQueries({ queryKey: asked.queryKey, exact: true });
        const page = await readPage(asked.filters, null, PAGE_ROWS);
        queries.setQueryData<Pages>(asked.queryKey, (old) => ({
          pages: [reuse(old?.pages.flatMap((each) => each.events) ?? [], page)],
          pageParams: [null],
        }));
        return asked.queryKey === latest.current.queryKey ? page : null;
      },
      /** The first rows of the filter as they are now, without showing them. */
      peek: () => readPage(latest.current.filters, null, PAGE_ROWS),
      async reread(ids: string[]): Promise<void> {
        const { queryKey: at } = latest.current;
        const found = await Promise.all(ids.map(readItem));
        const items = found.filter((item) => item !== null);
        queries.setQueryData<Pages>(at, (old) => old && patch(old, items));
      },
    }),
    [queries],
  );
  return { query, rows, ...acts };
}

export type EventList = ReturnType<typeof useEventList>;
