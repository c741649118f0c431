import { type ReactNode, useCallback, useDeferredValue, useEffect, useRef } from "react";
import type { View } from "@/components/DataTable";
import { Failed, Loading, Stale } from "@/components/States";
import { useMay } from "@/lib/session";
import { EventTable } from "./EventTable";
import type { EventFilters } from "./filters";
import { ListFoot } from "./ListFoot";
import { NewRows } from "./NewRows";
import type { EventItem } from "./rows";
import { Selection } from "./Selection";
import { type EventList as List, useEventList } from "./useEventList";
import { useLiveList } from "./useLiveList";
import { useSelection } from "./useSelection";

const SHORT_PAGE_ROWS = 20;
const SHORT_PAGES_MAX = 5;

type Props = {
  filters: EventFilters;
  isLive: boolean;
  total: number | undefined;
  empty: ReactNode;
  /** Reads the list again when it rises. */
  asked: number;
};

/** The list with everything that comes to it by itself. */
export function EventList({ filters, isLive, total, empty, asked }: Props) {
  const list = useEventList(filters);
  const { query, rows } = list;
  // Many rows that come at once are drawn in pieces: pointer and keyboard are not held up.
  const drawn = useDeferredValue(rows);
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<View<EventItem>>({ shown: [], cursor: undefined });
  const isPointed = useRef(false);
  const { selected, toggle, keep } = useSelection();
  const mayReplay = useMay("replay");

  const isCalm = () => {
    const scroller = box.current?.querySelector("[role=region]");
    if (isPointed.current || selected.size > 0 || view.current.cursor !== undefined) return false;
    if (scroller && scroller.scrollTop > 0) return false;
    return (
      !box.current?.querySelector(":focus-visible") && !document.querySelector("[role=dialog]")
    );
  };
  const shown = () => view.current.shown;
  const { keeper, failure } = useLiveList({ filters, list, on: isLive, shown, isCalm });

  const point = (isIn: boolean) => {
    isPointed.current = isIn;
    keeper.wake();
  };
  const show = useCallback(async () => {
    const scroller = box.current?.querySelector<HTMLElement>("[role=region]");
    await keeper.refresh();
    scroller?.scrollTo({ top: 0 });
    // The button that was pressed is gone now.
    scroller?.focus({ preventScroll: true });
  }, [keeper]);
  const wasAsked = useRef(asked);
  useEffect(() => {
    if (asked !== wasAsked.current) void show();
    wasAsked.current = asked;
  }, [asked, show]);

  const onView = useCallback(
    (next: View<EventItem>) => {
      view.current = next;
      keeper.wake();
    },
    [keeper],
  );
  useShortPages(list);
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = query;
  const more = useRef(() => {});
  more.current = () => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
  };
  const onEnd = useCallback(() => more.current(), []);

  return (
    <section
      ref={box}
      aria-label="List of events"
      aria-busy={query.isFetching}
      onPointerEnter={() => point(true)}
      onPointerLeave={() => point(false)}
      onBlur={() => keeper.wake()}
      onScrollCapture={() => keeper.wake()}
      className="min-w-0 overflow-hidden rounded-lg border border-line bg-card"
    >
      {failure !== null && query.data !== undefined && (
        <Stale error={failure} retry={() => void show()} />
      )}
      <Selection ids={[...selected]} keep={keep} />
      <div className="relative">
        <NewRows arrivals={keeper.arrivals} onShow={() => void show()} />
        {query.data === undefined ? (
          query.error ? (
            <Failed error={query.error} retry={() => void query.refetch()} />
          ) : (
            <Loading rows={14} />
          )
        ) : rows.length === 0 && !query.hasNextPage ? (
          empty
        ) : (
          <div
            aria-busy={query.isPlaceholderData}
            className={query.isPlaceholderData ? "opacity-60" : ""}
          >
            <EventTable
              rows={drawn}
              selected={selected}
              onSelect={toggle}
              onEnd={onEnd}
              onView={onView}
              total={total}
              canSelect={mayReplay}
            />
            <ListFoot list={list} />
          </div>
        )}
      </div>
    </section>
  );
}

/** With some filters a page may hold few rows although more follow: look further, but not forever. */
function useShortPages({ query }: List): void {
  const { data, hasNextPage, isFetching, isError, isPlaceholderData, fetchNextPage } = query;
  const pages = data?.pages ?? [];
  const short = pages.findLastIndex((page) => page.events.length >= SHORT_PAGE_ROWS);
  const isWorthIt = pages.length - 1 - short <= SHORT_PAGES_MAX;
  const isShort = pages.length > 0 && short < pages.length - 1;
  const goOn = hasNextPage && isShort && isWorthIt && !isFetching && !isError && !isPlaceholderData;
  useEffect(() => {
    if (goOn) void fetchNextPage();
  }, [goOn, fetchNextPage]);
}
