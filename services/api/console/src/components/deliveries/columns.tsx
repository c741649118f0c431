import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import type { Column } from "@/components/DataTable";
import { Time } from "@/components/Time";
import { shortId } from "@/lib/format";
import { type DeliveryRow, lastAnswer, placeOf } from "./words";

/** Without targets: all go to one, and its name need not stand in each row. */
type Names = { targets?: Map<string, string>; rules: Map<string, string> };

/** The columns of a list of deliveries. */
export function columnsOf({ targets, rules }: Names): Column<DeliveryRow>[] {
  return [
    {
      id: "what",
      title: targets ? "To" : "Event",
      cell: (row) => (
        <div className="min-w-0">
          <Link
            to="/deliveries/$id"
            params={{ id: row.id }}
            className="block truncate font-medium hover:underline"
          >
            {targets ? placeOf(row, targets.get(row.target_id ?? "")) : row.event_type}
          </Link>
          <span className="block truncate text-soft text-xs">
            {targets && `${row.event_type} · `}
            {rules.get(row.rule_id) ?? `rule ${shortId(row.rule_id)}`}
          </span>
        </div>
      ),
    },
    {
      id: "state",
      title: "State",
      width: "7.5rem",
      cell: (row) => <Status of={row.state} />,
    },
    {
      id: "answer",
      title: "Last answer",
      from: "lg",
      cell: (row) => (
        <span className="text-soft" title={lastAnswer(row)}>
          {lastAnswer(row)}
        </span>
      ),
    },
    {
      id: "attempts",
      title: "Attempts",
      width: "6rem",
      align: "right",
      from: "md",
      cell: (row) => row.attempt_no,
    },
    {
      id: "next",
      title: "Next",
      width: "7rem",
      align: "right",
      from: "md",
      cell: (row) =>
        row.next_attempt_at === null ? (
          <span className="text-soft">–</span>
        ) : Date.parse(row.next_attempt_at) <= Date.now() ? (
          "due"
        ) : (
          <Time at={row.next_attempt_at} />
        ),
    },
    {
      id: "created",
      title: "Made",
      width: "7rem",
      align: "right",
      from: "sm",
      cell: (row) => <Time at={row.created_at} />,
    },
  ];
}
