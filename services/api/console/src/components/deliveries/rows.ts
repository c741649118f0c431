import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Kind, useLive, useLiveRefetch, useLiveState } from "@/lib/live";
import { countNewer, mergeRows, type PageOf, pagesToAsk, type Row } from "./merge";

const HINTS_MAX = 500;
const EVERY_MS = 1_000;
const EVERY_MS_WITHOUT_SOCKET = 5_000;

/**
 * A list by pages that stays where it is: what changes is changed in its row, and what is new waits
 * until it is asked for. Each round asks for at most three pages, however many are loaded.
 */
export function useRows<T extends Row>({
  key,
  kind,
  load,
}: {
  key: readonly unknown[];
  kind: Kind;
  load: (cursor: string | undefined, signal?: AbortSignal) => Promise<PageOf<T>>;
}) {
  const client = useQueryClient();
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => load(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const hints = useRef(new Map<string, string>());
  const [newer, setNewer] = useState<PageOf<T> | null>(null);
  const [round, setRound] = useState(0);
  const [behind, setBehind] = useState<unknown>(null);
  const [checkedAt, setCheckedAt] = useState(0);

  const refresh = async () => {
    const shown = client.getQueryData<InfiniteData<PageOf<T>, string | undefined>>(key);
    if (shown === undefined) return;
    const told = new Map(hints.current);
    hints.current.clear();
    try {
      const places = pagesToAsk(shown, new Set(told.keys()));
      const answers = await Promise.all(places.map((at) => load(shown.pageParams[at])));
      const fresh = new Map(answers.flatMap((page) => page.rows).map((row) => [row.id, row]));
      client.setQueryData<InfiniteData<PageOf<T>, string | undefined>>(
        key,
        (now) => now && mergeRows(now, fresh, told),
      );
      const first = answers[0];
      if (first) setNewer(countNewer(shown, first) > 0 ? first : null);
      setBehind(null);
      setCheckedAt(Date.now());
    } catch (error) {
      setBehind(error);
    }
  };

  useLive({ kinds: [kind] }, ({ updates }) => {
    for (const each of updates) {
      if (hints.current.size < HINTS_MAX) hints.current.set(each.id, each.status);
    }
  });
  useLiveRefetch({ kinds: [kind] }, () => void refresh(), EVERY_MS);
  useWithoutSocket(() => void refresh());

  const text = JSON.stringify(key);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins anew, and one that was kept is looked at again
  useEffect(() => {
    setNewer(null);
    setBehind(null);
    hints.current.clear();
    void refresh();
  }, [text]);

  const showNewer = () => {
    client.setQueryData<InfiniteData<PageOf<T>, string | undefined>>(
      key,
      newer === null ? undefined : { pages: [newer], pageParams: [undefined] },
    );
    setNewer(null);
    setRound((before) => before + 1);
  };
  const rows = query.data?.pages.flatMap((page) => page.rows) ?? [];
  const top = rows[0]?.id ?? "";
  return {
    query,
    rows,
    complete: !query.hasNextPage,
    updatedAt: Math.max(query.dataUpdatedAt, checkedAt),
    newer: newer === null ? 0 : newer.rows.filter((row) => row.id > top).length,
    newerMayBeMore: newer !== null && newer.next !== null && newer.rows.every(({ id }) => id > top),
    showNewer,
    /** Another number means: begin at the top again. */
    round,
    behind,
    refresh,
    loadMore: () => {
      if (query.hasNextPage && !query.isFetchingNextPage && !query.isFetchNextPageError)
        void query.fetchNextPage();
    },
  };
}

/** While nothing arrives by itself, ask. */
function useWithoutSocket(refresh: () => void): void {
  const state = useLiveState();
  const latest = useRef(refresh);
  latest.current = refresh;
  useEffect(() => {
    if (state === "live") return;
    const timer = window.setInterval(() => {
      if (!document.hidden) latest.current();
    }, EVERY_MS_WITHOUT_SOCKET);
    return () => window.clearInterval(timer);
  }, [state]);
}
