import { Button } from "@/components/Button";
import { count, plural } from "@/lib/format";
import type { EventList } from "./useEventList";

/** How far the list goes, and what went wrong with the rest of it. */
export function ListFoot({ list }: { list: EventList }) {
  const { query, rows } = list;
  const more = () => void query.fetchNextPage();
  return (
    <div
      role="status"
      className="tabular flex min-h-10 items-center justify-between gap-3 border-line border-t px-4 py-1.5 text-soft text-xs"
    >
      {query.isFetchNextPageError ? (
        <>
          <span className="text-bad">
            The next events could not be read: {query.error?.message}
          </span>
          <Button small onClick={more}>
            Try again
          </Button>
        </>
      ) : query.hasNextPage ? (
        <>
          <span>{count(rows.length)} loaded, older ones follow</span>
          {query.isFetchingNextPage ? (
            <span>Loading…</span>
          ) : (
            <Button small look="quiet" onClick={more}>
              Load more
            </Button>
          )}
        </>
      ) : (
        <span>{plural(rows.length, "event")}, that is all</span>
      )}
    </div>
  );
}
