import { type Column, DataTable } from "@/components/DataTable";
import { Card, Updated } from "@/components/Page";
import { Failed, Loading, Stale } from "@/components/States";
import { plural } from "@/lib/format";
import type { Row } from "./merge";
import type { useRows } from "./rows";

const ROW_PIXELS = 56;
const HEAD_PIXELS = 36;

/** A live list: its rows, what waits above them, and what is wrong where it is wrong. */
export function LiveList<T extends Row>({
  title,
  noun,
  list,
  columns,
  onOpen,
  empty,
  aside,
  keys,
}: {
  title: string;
  noun: string;
  list: ReturnType<typeof useRows<T>>;
  columns: Column<T>[];
  onOpen: (row: T) => void;
  empty: React.ReactNode;
  aside?: React.ReactNode;
  keys?: Record<string, (row: T) => void>;
}) {
  const { query, rows } = list;
  return (
    <Card
      title={title}
      flush
      aside={
        <>
          {aside}
          <Updated at={list.updatedAt} />
        </>
      }
    >
      {list.behind !== null && <Stale error={list.behind} retry={() => void list.refresh()} />}
      {list.newer > 0 && (
        <button
          type="button"
          onClick={list.showNewer}
          className="w-full border-line border-b bg-accent-tint px-4 py-1.5 text-accent-strong text-sm hover:underline"
        >
          Show {plural(list.newer, `new ${noun}`, `new ${many(noun)}`)}
          {list.newerMayBeMore && " or more"}
        </button>
      )}
      {query.data === undefined ? (
        query.error ? (
          <Failed error={query.error} retry={() => void query.refetch()} />
        ) : (
          <Loading rows={8} />
        )
      ) : rows.length === 0 ? (
        empty
      ) : (
        <DataTable
          key={list.round}
          label={title}
          columns={columns}
          rows={rows}
          rowKey={(row) => row.id}
          onOpen={onOpen}
          onEnd={list.loadMore}
          rowHeight={ROW_PIXELS}
          height={`min(70dvh, ${rows.length * ROW_PIXELS + HEAD_PIXELS}px)`}
          {...(list.complete ? { total: rows.length } : {})}
          {...(keys ? { keys } : {})}
        />
      )}
      {query.isFetchNextPageError && (
        <Failed error={query.error} retry={() => void query.fetchNextPage()} />
      )}
      {rows.length > 0 && (
        <p className="border-line border-t px-4 py-1.5 text-soft text-xs" role="status">
          {query.isFetchingNextPage
            ? "Loading more"
            : list.complete
              ? `${plural(rows.length, noun, many(noun))}, all that match`
              : `${plural(rows.length, noun, many(noun))} loaded, more follow as you scroll`}
        </p>
      )}
    </Card>
  );
}

function many(noun: string): string {
  return noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}
