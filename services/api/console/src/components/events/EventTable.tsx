import { Link, useNavigate } from "@tanstack/react-router";
import { memo, useCallback, useMemo } from "react";
import { Status } from "@/components/Badge";
import { type Column, DataTable, type View } from "@/components/DataTable";
import { Time } from "@/components/Time";
import type { EventItem } from "./rows";
import { useNarrow } from "./useNarrow";

type Props = {
  rows: EventItem[];
  selected: ReadonlySet<string>;
  onSelect: (id: string) => void;
  onEnd: () => void;
  onView: (view: View<EventItem>) => void;
  /** All rows where that is known. */
  total?: number | undefined;
  canSelect: boolean;
};

/** The rows of the list. Drawn again only when rows or the selection change. */
export const EventTable = memo(function EventTable(props: Props) {
  const { rows, selected, onSelect, onEnd, onView, total, canSelect } = props;
  const navigate = useNavigate();
  const isNarrow = useNarrow();
  const open = useCallback(
    (row: EventItem) => void navigate({ to: "/events/$id", params: { id: row.id } }),
    [navigate],
  );
  const columns = useMemo(() => {
    if (isNarrow) return PHONE;
    return canSelect ? [selectColumn(selected, onSelect), ...WIDE] : WIDE;
  }, [isNarrow, canSelect, selected, onSelect]);
  return (
    <DataTable
      key={isNarrow ? "narrow" : "wide"}
      label="Events"
      columns={columns}
      rows={rows}
      rowKey={idOf}
      rowLook={lookOf}
      onOpen={open}
      onEnd={onEnd}
      onView={onView}
      total={total}
      rowHeight={isNarrow ? 64 : 41}
      height={isNarrow ? "max(24rem, calc(100dvh - 9rem))" : "max(24rem, calc(100dvh - 20.5rem))"}
      {...(canSelect ? { keys: { x: (row: EventItem) => onSelect(row.id) } } : {})}
    />
  );
});

const idOf = (row: EventItem) => row.id;

/** Failed rows stand out without being read: an edge, a ground and the word. */
const lookOf = (row: EventItem) =>
  row.status === "failed"
    ? "bg-bad-tint/45 [&>td:first-child]:shadow-[inset_3px_0_0_var(--bad)]"
    : "";

const WIDE: Column<EventItem>[] = [
  {
    id: "type",
    title: "Type",
    width: "19%",
    cell: (row) => <span title={row.type}>{row.type}</span>,
  },
  { id: "external", title: "External id", cell: (row) => <EventLink row={row} /> },
  { id: "status", title: "Status", width: "8rem", cell: (row) => <Status of={row.status} /> },
  {
    id: "subject",
    title: "Subject",
    width: "12%",
    from: "lg",
    cell: (row) => <Text of={row.subject} />,
  },
  {
    id: "source",
    title: "Source",
    width: "10%",
    from: "md",
    cell: (row) => <Text of={row.source} />,
  },
  {
    id: "repeats",
    title: "Repeats",
    width: "7rem",
    from: "xl",
    cell: (row) => <Repeats row={row} />,
  },
  {
    id: "received",
    title: "Received",
    width: "5.5rem",
    align: "right",
    cell: (row) => <Time at={row.received_at} />,
  },
];

const PHONE: Column<EventItem>[] = [
  {
    id: "event",
    title: "Event",
    cell: (row) => (
      <div className="flex flex-col gap-0.5">
        <div className="flex items-center justify-between gap-2">
          <span className="truncate font-medium">{row.type}</span>
          <Status of={row.status} />
        </div>
        <div className="flex items-center justify-between gap-3 text-xs">
          <EventLink row={row} />
          <span className="shrink-0 text-soft">
            <Repeats row={row} />
            {(row.received_count > 1 || row.replay > 0) && " · "}
            <Time at={row.received_at} />
          </span>
        </div>
      </div>
    ),
  },
];

function selectColumn(
  selected: ReadonlySet<string>,
  onSelect: (id: string) => void,
): Column<EventItem> {
  return {
    id: "select",
    title: <span className="sr-only">Select</span>,
    width: "2.75rem",
    cell: (row) => (
      <input
        type="checkbox"
        aria-label={`Select ${row.type} ${row.external_id}`}
        checked={selected.has(row.id)}
        onChange={() => onSelect(row.id)}
        className="size-4 align-middle accent-accent"
      />
    ),
  };
}

function EventLink({ row }: { row: EventItem }) {
  return (
    <Link
      to="/events/$id"
      params={{ id: row.id }}
      title={row.external_id}
      className="truncate font-mono text-[13px] text-accent hover:underline"
    >
      {row.external_id}
    </Link>
  );
}

function Text({ of }: { of: string | null }) {
  if (of === null) return <span className="text-soft">none</span>;
  return <span title={of}>{of}</span>;
}

function Repeats({ row }: { row: EventItem }) {
  const said: string[] = [];
  if (row.received_count > 1) said.push(`${row.received_count}× received`);
  if (row.replay > 0) said.push(`replay ${row.replay}`);
  if (said.length === 0) return null;
  return (
    <span className="text-soft text-xs" title={said.join(", ")}>
      {said.join(" · ")}
    </span>
  );
}
