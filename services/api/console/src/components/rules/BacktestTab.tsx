import { useState } from "react";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { useMay } from "@/lib/session";
import { BacktestForm } from "./BacktestForm";
import { BacktestResult } from "./BacktestResult";
import type { RuleView } from "./calls";

const LIMIT = 50;

function runs({ finished_at: finished }: { finished_at: string | null }): boolean {
  return finished === null;
}

/** A version over past events: what it would have gained, lost and changed. */
export function BacktestTab({
  rule,
  chosen,
  choose,
}: {
  rule: RuleView;
  chosen: string | undefined;
  choose: (id: string) => void;
}) {
  const may = useMay("rules:write");
  const [asking, setAsking] = useState(false);
  const query = api.useQuery(
    "get",
    "/rules/{rule_id}/backtests",
    {
      params: { path: { rule_id: rule.id }, query: { limit: LIMIT } },
    },
    { refetchInterval: ({ state }) => (state.data?.backtests.some(runs) ? 2_000 : false) },
  );
  useLiveRefetch({ kinds: ["backtest"] }, () => query.refetch({ cancelRefetch: false }));
  const shown = chosen ?? query.data?.backtests[0]?.id;
  const start = may && (
    <Button look="primary" small onClick={() => setAsking(true)}>
      New backtest
    </Button>
  );
  return (
    <div className="grid min-w-0 items-start gap-5 xl:grid-cols-[minmax(0,20rem)_minmax(0,1fr)]">
      <Card title="Backtests" aside={start} flush>
        <Loaded query={query} rows={3}>
          {({ backtests }) =>
            backtests.length === 0 ? (
              <Empty title="No backtest yet">
                A backtest runs a version over past events and compares it with another. It sends
                nothing.
              </Empty>
            ) : (
              <ul className="divide-y divide-line">
                {backtests.map((each) => (
                  <li key={each.id}>
                    <button
                      type="button"
                      aria-current={each.id === shown ? "true" : undefined}
                      onClick={() => choose(each.id)}
                      className="flex w-full flex-col gap-1 px-4 py-2.5 text-left text-sm hover:bg-sunken aria-[current=true]:bg-accent-tint"
                    >
                      <span className="flex items-center justify-between gap-2">
                        <span className="font-medium">
                          Version {each.version} against {each.against ?? "nothing"}
                        </span>
                        <Status of={each.state} />
                      </span>
                      <span className="tabular text-soft text-xs">
                        {count(each.gained)} gained, {count(each.lost)} lost,{" "}
                        <Time at={each.created_at} />
                      </span>
                    </button>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
      {shown !== undefined && <BacktestResult key={shown} id={shown} />}
      {asking && (
        <BacktestForm
          rule={rule}
          onClose={() => setAsking(false)}
          onMade={(id) => {
            setAsking(false);
            choose(id);
          }}
        />
      )}
    </div>
  );
}
