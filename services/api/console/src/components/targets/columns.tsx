import { Link } from "@tanstack/react-router";
import type { Column } from "@/components/DataTable";
import { Time } from "@/components/Time";
import { count } from "@/lib/format";
import type { Target } from "./form";
import { lastOf, Standing } from "./health";

export const COLUMNS: Column<Target>[] = [
  {
    id: "name",
    title: "Target",
    cell: (target) => (
      <div className="min-w-0">
        <Link
          to="/targets/$id"
          params={{ id: target.id }}
          className="block truncate font-medium hover:underline"
        >
          {target.name}
        </Link>
        <span className="block truncate text-soft text-xs">{target.url}</span>
      </div>
    ),
  },
  {
    id: "standing",
    title: "Standing",
    width: "9rem",
    cell: (target) => <Standing target={target} />,
  },
  {
    id: "waiting",
    title: "Waiting",
    width: "6rem",
    align: "right",
    from: "sm",
    cell: ({ health }) => `${count(health.pending)}${health.pending_capped ? "+" : ""}`,
  },
  {
    id: "flight",
    title: "In flight",
    width: "7rem",
    align: "right",
    from: "md",
    cell: ({ health, in_flight_max: most }) => (
      <>
        {health.in_flight} <span className="text-soft">of {count(most)}</span>
      </>
    ),
  },
  {
    id: "rate",
    title: "Rate",
    width: "6.5rem",
    align: "right",
    from: "lg",
    cell: ({ rate_per_second: rate }) =>
      rate === null ? <span className="text-soft">no limit</span> : `${rate}/s`,
  },
  {
    id: "last",
    title: "Last answer",
    width: "15rem",
    from: "lg",
    cell: (target) => (
      <span className="text-soft">
        {lastOf(target)}
        {target.health.last_attempt && (
          <>
            {", "}
            <Time at={target.health.last_attempt.finished_at} />
          </>
        )}
      </span>
    ),
  },
];
