import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Button } from "@/components/Button";
import { Json } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { Loaded } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { shortId } from "@/lib/format";
import { Outcome } from "./Evaluation";
import { inWords } from "./summary";

export type Kind =
  | "gained"
  | "lost"
  | "changed"
  | "candidate_error"
  | "baseline_error"
  | "not_reconstructed";
type Backtest = Schemas["Backtest"];

const WORDS: Record<string, string> = {
  candidate_error: "error",
  baseline_error: "error before",
  not_reconstructed: "not reconstructed",
};

/** Events behind the counts; both versions can be looked at side by side on each. */
export function Examples({
  backtest,
  kind,
  clear,
}: {
  backtest: Backtest;
  kind: Kind | null;
  clear: () => void;
}) {
  const [looked, setLooked] = useState<string | null>(null);
  const query = api.useQuery("get", "/backtests/{backtest_id}/examples", {
    params: {
      path: { backtest_id: backtest.id },
      query: { limit: 50, ...(kind ? { kind } : {}) },
    },
  });
  const { refetch } = query;
  // biome-ignore lint/correctness/useExhaustiveDependencies: more was found, or it is over
  useEffect(() => void refetch(), [backtest.examined, backtest.state, refetch]);
  return (
    <section aria-label="Examples" className="flex min-w-0 flex-col gap-2">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h3 className="font-medium text-sm">
          Examples{kind === null ? "" : `: ${WORDS[kind] ?? kind}`}
        </h3>
        {kind !== null && (
          <Button small onClick={clear}>
            Show all kinds
          </Button>
        )}
      </div>
      <Loaded query={query} rows={3}>
        {({ examples, next_cursor: more }) => (
          <>
            {examples.length === 0 && (
              <p className="text-soft text-sm">
                {backtest.finished_at === null
                  ? "None found so far."
                  : "No event differs: there is nothing to show."}
              </p>
            )}
            <ul className="flex flex-col divide-y divide-line">
              {examples.map((example) => (
                <li
                  key={example.kind + example.event_id}
                  className="flex flex-wrap items-center gap-x-3 gap-y-1 py-1.5 text-sm"
                >
                  <span className="w-28 text-soft">{WORDS[example.kind] ?? example.kind}</span>
                  <Link
                    to="/events/$id"
                    params={{ id: example.event_id }}
                    className="font-mono text-[13px] text-accent underline"
                  >
                    {shortId(example.event_id)}
                  </Link>
                  <span className="min-w-0 truncate text-soft">{example.event_type}</span>
                  {example.kind !== "not_reconstructed" && (
                    <Button
                      small
                      className="ml-auto"
                      aria-label={`Compare on event ${example.event_id}`}
                      onClick={() => setLooked(example.event_id)}
                    >
                      Compare
                    </Button>
                  )}
                </li>
              ))}
            </ul>
            {more !== null && (
              <p className="text-soft text-xs">These are the first 50; the counts are of all.</p>
            )}
          </>
        )}
      </Loaded>
      {looked !== null && (
        <SideBySide backtest={backtest} eventId={looked} onClose={() => setLooked(null)} />
      )}
    </section>
  );
}

function SideBySide({
  backtest,
  eventId,
  onClose,
}: {
  backtest: Backtest;
  eventId: string;
  onClose: () => void;
}) {
  const query = api.useQuery("get", "/backtests/{backtest_id}/events/{event_id}", {
    params: { path: { backtest_id: backtest.id, event_id: eventId } },
  });
  return (
    <Dialog open onClose={onClose} title="Both versions on this event" wide>
      <Loaded query={query}>
        {({ candidate, baseline, data }) => (
          <div className="flex min-w-0 flex-col gap-4">
            <div className="grid gap-4 sm:grid-cols-2">
              <Said title={`Version ${backtest.version}`} said={candidate} />
              {baseline === null ? (
                <p className="text-soft text-sm">Compared with nothing.</p>
              ) : (
                <Said title={`Version ${backtest.against}`} said={baseline} />
              )}
            </div>
            <Json value={data} label="Event data" />
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}

function Said({ title, said }: { title: string; said: Schemas["Evaluation"] }) {
  return (
    <section aria-label={title} className="flex min-w-0 flex-col gap-1.5 text-sm">
      <h3 className="flex items-center gap-2 font-medium">
        {title} <Outcome of={said.outcome} />
      </h3>
      <p className="break-words">
        {said.type_matches === false ? "It does not look at events of this type." : said.why}
      </p>
      {said.actions.map((action) => (
        <div key={action.key} className="flex min-w-0 flex-col gap-1">
          <p className="break-words">{action.error ?? inWords(action)}</p>
          <Json value={action.params} label={`Action ${action.key}`} />
        </div>
      ))}
    </section>
  );
}
