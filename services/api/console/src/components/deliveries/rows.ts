import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Kind, useLive, useLiveRefetch, useLiveState } from "@/lib/live";
import { countNewer, mergeRows, type PageOf, pagesToAsk, type Row } from "./merge";

const HINTS_MAX = 500;
const EVERY_MS = 1_000;
const EVERY_MS_WITHOUT_SOCKET = 5_000;

type Shown<T> = InfiniteData<PageOf<T>, string | undefined>;

/** What is known of one list and not yet asked for; another filter begins with a new one. */
type Lane = {
  list: string;
  hints: Map<string, string>;
  /** Pages of which something was missed. */
  missed: Set<number>;
  running: boolean;
  again: boolean;
};

function newLane(list: string): Lane {
  return { list, hints: new Map(), missed: new Set(), running: false, again: false };
}

/**
 * A list by pages that stays where it is: what changes is changed in its row, and what is new waits
 * until it is asked for. One round at a time asks for at most three pages, or five when something
 * was missed, however many are loaded.
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
  const text = JSON.stringify(key);
  const lane = useRef(newLane(text));
  if (lane.current.list !== text) lane.current = newLane(text);
  const [newer, setNewer] = useState<PageOf<T> | null>(null);
  const [round, setRound] = useState(0);
  const [behind, setBehind] = useState<unknown>(null);
  const [checkedAt, setCheckedAt] = useState(0);

  const read = () => client.getQueryData<Shown<T>>(key);
  const isLoading = () => client.isFetching({ queryKey: key, exact: true }) > 0;
  const missAll = () => {
    for (const at of read()?.pages.keys() ?? []) lane.current.missed.add(at);
  };

  /** One round. What it was to mend is kept when it fails, and its answer counts for this list only. */
  const ask = async (mine: Lane) => {
    const shown = read();
    if (shown === undefined) return;
    const told = mine.hints;
    mine.hints = new Map();
    const { places, left } = pagesToAsk(shown, new Set(told.keys()), mine.missed);
    try {
      const answers = await Promise.all(places.map((at) => load(shown.pageParams[at])));
      if (lane.current !== mine) return;
      if (isLoading()) {
        // A page that is being loaded would put the rows of before back in their places.
        keepHints(mine, told);
        mine.again = true;
        return;
      }
      const fresh = new Map(answers.flatMap((page) => page.rows).map((row) => [row.id, row]));
      // When all of it was loaded stays as it was: these are only some of its pages.
      const updatedAt = client.getQueryState(key)?.dataUpdatedAt ?? 0;
      const merge = (now: Shown<T> | undefined) => now && mergeRows(now, fresh, told);
      client.setQueryData<Shown<T>>(key, merge, { updatedAt });
      for (const at of places) mine.missed.delete(at);
      for (const at of left) mine.missed.add(at);
      const first = answers[0];
      if (first) setNewer(countNewer(shown, first) > 0 ? first : null);
      setBehind(null);
      if (mine.missed.size === 0) setCheckedAt(Date.now());
    } catch (error) {
      if (lane.current !== mine) return;
      keepHints(mine, told);
      setBehind(error);
    }
  };

  const refresh = async () => {
    const mine = lane.current;
    if (mine.list !== text) return;
    if (mine.running || isLoading()) {
      mine.again = true;
      return;
    }
    mine.running = true;
    try {
      do {
        mine.again = false;
        await ask(mine);
      } while (mine.again && lane.current === mine && !isLoading());
    } finally {
      mine.running = false;
    }
  };
  const latest = useRef(refresh);
  latest.current = refresh;

  useLive({ kinds: [kind] }, ({ updates, omitted, gap }) => {
    const { hints } = lane.current;
    for (const each of updates) {
      if (hints.size < HINTS_MAX || hints.has(each.id)) hints.set(each.id, each.status);
    }
    if (gap || omitted.length > 0 || hints.size >= HINTS_MAX) missAll();
  });
  useLiveRefetch({ kinds: [kind] }, () => latest.current(), EVERY_MS);
  useWithoutSocket(() => {
    if (lane.current.missed.size === 0) missAll();
    void refresh();
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins anew, and one that was kept is looked at again
  useEffect(() => {
    setNewer(null);
    setBehind(null);
    setCheckedAt(0);
    if (read() === undefined) return;
    missAll();
    void refresh();
  }, [text]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what had to wait for a page is done when the page is there
  useEffect(() => {
    if (!query.isFetching && lane.current.again && !lane.current.running) void refresh();
  }, [query.isFetching]);

  const showNewer = () => {
    client.setQueryData<Shown<T>>(
      key,
      newer === null ? undefined : { pages: [newer], pageParams: [undefined] },
    );
    lane.current = newLane(text);
    setNewer(null);
    setRound((before) => before + 1);
    void refresh();
  };
  const rows = query.data?.pages.flatMap((page) => page.rows) ?? [];
  const top = rows[0]?.id ?? "";
  return {
    query,
    rows,
    complete: !query.hasNextPage,
    /** When all that is shown was looked at, or is known not to have changed since. */
    updatedAt: checkedAt || query.dataUpdatedAt,
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

function keepHints(lane: Lane, told: Map<string, string>): void {
  lane.hints = new Map([...told, ...lane.hints]);
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
