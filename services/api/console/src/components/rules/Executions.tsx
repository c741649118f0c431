import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Select } from "@/components/Fields";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { shortId } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { duration } from "@/lib/time";
import type { RuleView } from "./calls";

type Row = Schemas["RuleExecutionRow"];
type Result = "applied" | "failed" | "deduped";
const RESULTS: Result[] = ["applied", "failed", "deduped"];

const COLUMNS: Column<Row>[] = [
  {
    id: "event",
    title: "Event",
    cell: (row) => (
      <>
        <Link
          to="/events/$id"
          params={{ id: row.event_id }}
          className="font-mono text-[13px] text-accent underline"
          title={row.event_id}
        >
          {shortId(row.event_id)}
        </Link>
        <span className="block text-soft text-xs sm:hidden">
          <Time at={row.executed_at} />
        </span>
      </>
    ),
  },
  {
    id: "result",
    title: "Result",
    width: "10rem",
    cell: (row) =>
      // In shadow nothing was done, whatever the condition said.
      row.shadow && row.result === "applied" ? (
        <Status of="shadow">shadow: matched</Status>
      ) : (
        <Status of={row.result}>{row.shadow ? `shadow: ${row.result}` : undefined}</Status>
      ),
  },
  {
    id: "why",
    title: "Why it failed",
    from: "lg",
    width: "34%",
    cell: (row) => (
      <span title={row.reason ?? undefined}>
        {row.error_class ? `${row.error_class}: ${row.reason ?? ""}` : (row.reason ?? "")}
      </span>
    ),
  },
  {
    id: "version",
    title: "Version",
    width: "5.5rem",
    align: "right",
    from: "md",
    cell: (row) => row.version,
  },
  {
    id: "try",
    title: "Try",
    width: "8rem",
    from: "xl",
    cell: (row) =>
      row.replay > 0 ? `replay ${row.replay}, try ${row.attempt_no}` : `try ${row.attempt_no}`,
  },
  {
    id: "took",
    title: "Took",
    width: "6rem",
    align: "right",
    from: "sm",
    cell: (row) => duration(row.duration_us / 1000),
  },
  {
    id: "at",
    from: "sm",
    title: "When",
    width: "6.5rem",
    align: "right",
    cell: (row) => <Time at={row.executed_at} />,
  },
];

/** Where the rule applied or failed, newest event first. */
export function Executions({ rule }: { rule: RuleView }) {
  const navigate = useNavigate();
  const [result, setResult] = useState<Result | undefined>(undefined);
  const query = api.useInfiniteQuery(
    "get",
    "/rules/{rule_id}/executions",
    { params: { path: { rule_id: rule.id }, query: { limit: 50, ...(result ? { result } : {}) } } },
    {
      initialPageParam: null as string | null,
      getNextPageParam: (page) => page.next_cursor,
    },
  );
  useLiveRefetch({ kinds: ["event"] }, () => query.refetch({ cancelRefetch: false }), 3_000);
  const filter = (
    <Select
      aria-label="Result"
      className="h-8! w-auto!"
      value={result ?? ""}
      onChange={(event) => setResult(RESULTS.find((each) => each === event.target.value))}
    >
      <option value="">Every result</option>
      {RESULTS.map((each) => (
        <option key={each} value={each}>
          {each}
        </option>
      ))}
    </Select>
  );
  return (
    <Card title="Where it applied or failed" aside={filter} flush>
      <Loaded query={query}>
        {({ pages }) => {
          const rows = pages.flatMap((page) => page.executions);
          if (rows.length === 0)
            return (
              <Empty title={result ? `Never ${result}` : "It has not applied to any event yet"}>
                Events on which the condition did not hold are not listed; an event’s own page says
                why.
              </Empty>
            );
          return (
            <>
              <DataTable
                label="Executions"
                columns={COLUMNS}
                rows={rows}
                rowKey={(row) => `${row.event_id} ${row.replay} ${row.attempt_no} ${row.version}`}
                onOpen={(row) => void navigate({ to: "/events/$id", params: { id: row.event_id } })}
              />
              {query.hasNextPage && (
                <div className="border-line border-t p-3 text-center">
                  <Button
                    small
                    disabled={query.isFetchingNextPage}
                    onClick={() => void query.fetchNextPage()}
                  >
                    Show older ones
                  </Button>
                </div>
              )}
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
