import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { useHotkeys } from "@/lib/hotkeys";

export type Column<T> = {
  id: string;
  title: ReactNode;
  cell: (row: T) => ReactNode;
  /** CSS width; the columns without one share what is left. */
  width?: string;
  align?: "right";
  /** Left out below this width; what matters on a phone belongs into the first column. */
  from?: "sm" | "md" | "lg" | "xl";
};

const ENTER = "Enter";
const HEAD_PIXELS = 36;

const FROM = {
  sm: "hidden sm:table-cell",
  md: "hidden md:table-cell",
  lg: "hidden lg:table-cell",
  xl: "hidden xl:table-cell",
};

type Props<T> = {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** Enter, or a click beside the row's own links. */
  onOpen?: (row: T) => void;
  /** Called near the end of what is loaded; only with `height`, or it would load page after page. */
  onEnd?: () => void;
  /** All rows where that is known; otherwise readers hear that there may be more. */
  total?: number;
  rowHeight?: number;
  /** The list scrolls by itself within this height; otherwise it is as long as its rows. */
  height?: string;
  /** Further single keys that act on the row the cursor is on. */
  keys?: Record<string, (row: T) => void>;
  rowLook?: (row: T) => string;
  /** Which rows exist at the moment and which one the cursor is on, whenever that changes. */
  onView?: (view: View<T>) => void;
};

export type View<T> = { shown: T[]; cursor: T | undefined };

/**
 * A real table of which only the visible rows exist. `j` and `k` move a cursor, Enter opens.
 * Rows keep their place: the list never moves under the pointer by itself. A row is drawn again only
 * when it or the columns changed, so `columns`, `onOpen` and `rowLook` should be stable.
 */
export function DataTable<T>(props: Props<T>) {
  const {
    label,
    columns,
    rows,
    rowKey,
    onOpen,
    onEnd,
    total,
    rowHeight = 45,
    height,
    keys,
    rowLook,
  } = props;
  const box = useRef<HTMLDivElement>(null);
  // By key and not by place: the cursor stays on its row when rows come in before it.
  const [cursorKey, setCursorKey] = useState<string | null>(null);
  const cursor = useMemo(
    () => (cursorKey === null ? -1 : rows.findIndex((row) => rowKey(row) === cursorKey)),
    [rows, rowKey, cursorKey],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    // The head takes room of the box that the virtual list does not know of.
    scrollPaddingEnd: HEAD_PIXELS,
    enabled: height !== undefined,
  });
  const items = virtual.getVirtualItems();
  const shown =
    height === undefined ? rows.map((_, index) => index) : items.map((item) => item.index);
  const before = height === undefined ? 0 : (items[0]?.start ?? 0);
  const after = height === undefined ? 0 : virtual.getTotalSize() - (items.at(-1)?.end ?? 0);

  const last = shown.at(-1) ?? -1;
  const scrolls = height !== undefined;
  const onEndNow = useRef(onEnd);
  onEndNow.current = onEnd;
  useEffect(() => {
    if (scrolls && rows.length > 0 && last >= rows.length - 15) onEndNow.current?.();
  }, [scrolls, last, rows.length]);

  const move = (step: number) => {
    const next = Math.min(rows.length - 1, Math.max(0, cursor + step));
    const row = rows[next];
    if (row === undefined) return;
    setCursorKey(rowKey(row));
    if (height !== undefined) virtual.scrollToIndex(next);
  };
  const at = rows[cursor];
  const first = shown[0] ?? 0;
  const onViewNow = useRef(props.onView);
  onViewNow.current = props.onView;
  useEffect(() => {
    onViewNow.current?.({ shown: rows.slice(first, last + 1), cursor: at });
  }, [rows, first, last, at]);
  const open = () => at !== undefined && onOpen?.(at);
  useHotkeys({
    j: () => move(1),
    k: () => move(-1),
    ...(at !== undefined && onOpen ? { [ENTER]: open, o: open } : {}),
    ...Object.fromEntries(
      Object.entries(keys ?? {}).map(([name, run]) => [name, () => at !== undefined && run(at)]),
    ),
  });

  return (
    <div
      ref={box}
      {...(height === undefined
        ? {}
        : { tabIndex: 0, role: "region", "aria-label": `${label}, scrollable` })}
      className="relative overflow-auto"
      style={{ height, maxHeight: height }}
    >
      <table
        aria-label={label}
        aria-rowcount={total === undefined ? -1 : total + 1}
        className="w-full table-fixed border-collapse text-sm"
      >
        <thead className="sticky top-0 z-10 bg-card shadow-[inset_0_-1px_0_var(--line)]">
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                style={{ width: column.width }}
                className={`px-3 py-2 font-medium text-soft text-xs first:pl-4 last:pr-4 ${column.align === "right" ? "text-right" : "text-left"} ${column.from ? FROM[column.from] : ""}`}
              >
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} />}
          {shown.map((index) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <Row
                key={rowKey(row)}
                row={row}
                index={index}
                current={index === cursor}
                pixels={rowHeight}
                columns={columns}
                onOpen={onOpen}
                rowLook={rowLook}
              />
            );
          })}
          {after > 0 && <Spacer height={after} />}
        </tbody>
      </table>
    </div>
  );
}

// `memo` forgets the type parameter.
const Row = memo(RowOf) as typeof RowOf;

function RowOf<T>({
  row,
  index,
  current,
  pixels,
  columns,
  onOpen,
  rowLook,
}: Pick<Props<T>, "columns" | "onOpen" | "rowLook"> & {
  row: T;
  index: number;
  current: boolean;
  pixels: number;
}) {
  return (
    <tr
      aria-rowindex={index + 2}
      {...(current ? { "data-current": "", "aria-current": true as const } : {})}
      style={{ height: pixels }}
      onClick={(event) => {
        // React's events also come from a dialog that a row has opened, which is elsewhere in the page.
        if (!event.currentTarget.contains(event.target as Node)) return;
        if (onOpen && !(event.target as HTMLElement).closest("a, button, input, label"))
          onOpen(row);
      }}
      className={`border-line border-b last:border-0 hover:bg-sunken data-current:bg-accent-tint ${onOpen ? "cursor-pointer" : ""} ${rowLook?.(row) ?? ""}`}
    >
      {columns.map((column) => (
        <td
          key={column.id}
          className={`truncate px-3 py-1.5 first:pl-4 last:pr-4 ${column.align === "right" ? "text-right" : ""} ${column.from ? FROM[column.from] : ""}`}
        >
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

function Spacer({ height }: { height: number }) {
  return (
    <tr aria-hidden style={{ height }}>
      {/* No colSpan: it would count hidden columns, and each would take its share of the width. */}
      <td className="p-0" />
    </tr>
  );
}
