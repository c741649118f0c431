import { useInfiniteQuery } from "@tanstack/react-query";
import { client } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";
import type { Search } from "@/lib/search";

const PAGE_ROWS = 200;
const EVERY_MS = 5_000;
const LIVE_EVERY_MS = 2_000;

/** Targets with their health. There are few of them, so all that is loaded is asked again. */
export function useTargets(search: Search) {
  const filters = {
    ...(search.name ? { name: search.name } : {}),
    ...(search.archived === "true" ? { archived: true } : {}),
    ...(search.disabled ? { disabled: search.disabled === "true" } : {}),
  };
  const query = useInfiniteQuery({
    queryKey: ["rows", "/targets", filters],
    queryFn: async ({ pageParam, signal }) => {
      const page = { ...filters, limit: PAGE_ROWS, ...(pageParam ? { cursor: pageParam } : {}) };
      const { data } = await client.GET("/targets", { params: { query: page }, signal });
      return { rows: data?.targets ?? [], next: data?.next_cursor ?? null };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    refetchInterval: EVERY_MS,
  });
  useLiveRefetch(
    { kinds: ["target", "delivery"] },
    () => query.refetch({ cancelRefetch: false }),
    LIVE_EVERY_MS,
  );
  return { query, rows: query.data?.pages.flatMap((page) => page.rows) };
}
