import { useState } from "react";
import { toast } from "sonner";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Card, Facts } from "@/components/Page";
import { Progress } from "@/components/Progress";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { count } from "@/lib/format";
import { useMay } from "@/lib/session";
import { duration } from "@/lib/time";
import { cancelBacktest } from "./calls";
import { Examples, type Kind } from "./Examples";

type Backtest = Schemas["Backtest"];
const EVERY_MS = 1_000;

function isOver(state: string | undefined): boolean {
  return state !== undefined && state !== "queued" && state !== "running";
}

/** How far it is, then what it found, and what it could not know. */
export function BacktestResult({ id }: { id: string }) {
  const query = api.useQuery(
    "get",
    "/backtests/{backtest_id}",
    { params: { path: { backtest_id: id } } },
    { refetchInterval: ({ state }) => (isOver(state.data?.state) ? false : EVERY_MS) },
  );
  return (
    <Card title="Result" className="min-w-0">
      <Loaded query={query}>{(backtest) => <Result backtest={backtest} />}</Loaded>
    </Card>
  );
}

function Result({ backtest }: { backtest: Backtest }) {
  const [kind, setKind] = useState<Kind | null>(null);
  const may = useMay("rules:write");
  const over = isOver(backtest.state);
  const { total, examined, eta_seconds: eta } = backtest;
  const cancel = () =>
    void cancelBacktest(backtest.id).then(
      () => toast.success("It ends with its next page; what it counted stays."),
      (failure: unknown) =>
        toast.error(failure instanceof Error ? failure.message : String(failure)),
    );
  const against = backtest.against === null ? "nothing" : `version ${backtest.against}`;
  return (
    <div className="flex min-w-0 flex-col gap-5">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <p className="text-sm">
          Version {backtest.version} against {against}
        </p>
        <div className="flex items-center gap-2">
          <Status of={backtest.state} />
          {!over && may && (
            <Button small disabled={backtest.cancel_requested} onClick={cancel}>
              {backtest.cancel_requested ? "Ending" : "Cancel"}
            </Button>
          )}
        </div>
      </div>
      {!over && (
        <div className="flex flex-col gap-1">
          <Progress label="Events examined" done={examined} total={total ?? 0} />
          <p className="tabular text-soft text-xs">
            {backtest.events_per_second === null
              ? "Counting the events"
              : `${count(Math.round(backtest.events_per_second))} events/s`}
            {eta === null ? "" : `, about ${duration(eta * 1000)} left`}
          </p>
        </div>
      )}
      {backtest.error && (
        <p role="alert" className="break-words rounded-md bg-bad-tint p-3 text-bad text-sm">
          It failed: {backtest.error}
        </p>
      )}
      <Counts backtest={backtest} kind={kind} choose={setKind} />
      {(backtest.notes.length > 0 || backtest.not_reconstructed > 0) && (
        <section aria-label="What to know" className="rounded-md bg-warn-tint px-4 py-3 text-sm">
          <h3 className="font-medium text-warn">What to know</h3>
          <ul className="list-inside list-disc">
            {backtest.notes.map((note) => (
              <li key={note} className="break-words">
                {note}
              </li>
            ))}
            {backtest.not_reconstructed > 0 && (
              <li>{count(backtest.not_reconstructed)} events could not be reconstructed.</li>
            )}
          </ul>
        </section>
      )}
      <Examples backtest={backtest} kind={kind} clear={() => setKind(null)} />
      <details className="text-sm">
        <summary className="cursor-pointer text-soft hover:text-ink">How it was run</summary>
        <div className="mt-2">
          <Facts
            facts={[
              ["Examined", `${count(examined)}${total === null ? "" : ` of ${count(total)}`}`],
              ["Not compared", count(backtest.not_compared)],
              [
                "Received after",
                backtest.received_after ? (
                  <Time key="after" at={backtest.received_after} show="exact" />
                ) : (
                  "the first"
                ),
              ],
              ["Received before", <Time key="before" at={backtest.received_before} show="exact" />],
              ["At most", `${count(backtest.events_max)} events`],
              ["Started", <Time key="started" at={backtest.started_at} />],
              ["Finished", <Time key="finished" at={backtest.finished_at} />],
            ]}
          />
        </div>
      </details>
    </div>
  );
}

type Tile = { title: string; about: string; value: number; kind?: Kind; look?: string };

function Counts({
  backtest,
  kind,
  choose,
}: {
  backtest: Backtest;
  kind: Kind | null;
  choose: (kind: Kind | null) => void;
}) {
  const other = backtest.against === null ? "nothing" : `version ${backtest.against}`;
  const tiles: Tile[] = [
    {
      title: "Gained",
      about: `only version ${backtest.version} matches`,
      value: backtest.gained,
      kind: "gained",
    },
    { title: "Lost", about: `only ${other} matches`, value: backtest.lost, kind: "lost" },
    {
      title: "Changed",
      about: "both match and act differently",
      value: backtest.changed,
      kind: "changed",
    },
    {
      title: "Errors",
      about: `version ${backtest.version} fails`,
      value: backtest.candidate_errors,
      kind: "candidate_error",
    },
    {
      title: "Errors before",
      about: `${other} fails`,
      value: backtest.baseline_errors,
      kind: "baseline_error",
    },
    {
      title: "Not reconstructed",
      about: "payload has expired",
      value: backtest.not_reconstructed,
      kind: "not_reconstructed",
    },
    { title: "Both match", about: "as before", value: backtest.both },
    { title: "Neither matches", about: "as before", value: backtest.neither },
  ];
  return (
    <ul aria-label="Counts" className="grid grid-cols-2 gap-2 md:grid-cols-4">
      {tiles.map(({ title, about, value, kind: of }) => {
        const body = (
          <>
            <span className="block text-soft text-xs">{title}</span>
            <span className="tabular block font-semibold text-lg">{count(value)}</span>
            <span className="block text-soft text-xs">{about}</span>
          </>
        );
        const look = "block h-full w-full rounded-md border px-3 py-2 text-left";
        return (
          <li key={title}>
            {of !== undefined && value > 0 ? (
              <button
                type="button"
                aria-pressed={kind === of}
                onClick={() => choose(kind === of ? null : of)}
                className={`${look} border-edge/70 hover:bg-sunken aria-pressed:border-accent aria-pressed:bg-accent-tint`}
              >
                {body}
              </button>
            ) : (
              <div className={`${look} border-line`}>{body}</div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
