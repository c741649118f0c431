import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowRight } from "lucide-react";
import type { ReactNode } from "react";
import { Status } from "@/components/Badge";
import type { Schemas } from "@/lib/api";
import { compact, count, plural, rate } from "@/lib/format";
import { duration } from "@/lib/time";

type Overview = Schemas["Overview"];

/** The way of an event with what flows and what waits at each place. */
export function Pipeline({ overview }: { overview: Overview }) {
  const { pipeline } = overview;
  const state = (kind: string) => overview.services.find((each) => each.service === kind)?.state;
  return (
    <ol aria-label="Pipeline" className="flex flex-col xl:flex-row xl:items-stretch">
      <Stop title="api" state={state("api")} flow={pipeline.accepted} verb="accepted" first>
        <Link to="/events">Events</Link>
      </Stop>
      <Stop
        title="outbox"
        says="Postgres"
        waits={pipeline.outbox.pending}
        approximate={!pipeline.outbox.exact}
        waiting="not published"
      >
        {pipeline.outbox.pending > 0 &&
          `oldest ${duration(pipeline.outbox.oldest_age_seconds * 1000)}`}
        {pipeline.outbox.parked > 0 && (
          <Link to="/dead-letters" search={{ stage: "relay" }}>
            {plural(pipeline.outbox.parked, "row")} parked
          </Link>
        )}
      </Stop>
      <Stop title="relay" state={state("relay")} flow={pipeline.published} verb="published" />
      <Stop title="Kafka" state={overview.broker.state} waits={pipeline.lag} waiting="not applied">
        {plural(overview.partitions.length, "partition")}
      </Stop>
      <Stop
        title="consumer"
        state={state("consumer")}
        flow={pipeline.applied}
        verb="applied, once"
      />
      <Stop
        title="dispatcher"
        state={state("dispatcher")}
        flow={pipeline.confirmed}
        verb="confirmed"
        waits={pipeline.deliveries.pending + pipeline.deliveries.sending}
        waiting="under way"
        approximate={pipeline.deliveries.capped.length > 0}
      >
        <Link to="/deliveries">Deliveries</Link>
      </Stop>
    </ol>
  );
}

type StopProps = {
  title: string;
  says?: string;
  state?: string;
  flow?: Overview["pipeline"]["accepted"];
  verb?: string;
  waits?: number;
  waiting?: string;
  approximate?: boolean;
  first?: boolean;
  children?: ReactNode;
};

function Stop(props: StopProps) {
  const { title, says, state, flow, verb, waits, waiting, approximate, first, children } = props;
  return (
    <li className="flex min-w-0 flex-1 flex-col xl:flex-row">
      {!first && (
        <span aria-hidden className="flex items-center justify-center py-1 text-edge xl:px-1">
          <ArrowDown className="size-4 xl:hidden" />
          <ArrowRight className="hidden size-4 xl:block" />
        </span>
      )}
      <div className="flex min-w-0 flex-1 flex-wrap items-baseline gap-x-4 gap-y-1 rounded-lg border border-line bg-card px-4 py-3 xl:flex-col xl:gap-x-0">
        <div className="flex w-full items-center justify-between gap-2">
          <span className="font-medium">{title}</span>
          {state ? <Status of={state} /> : <span className="text-soft text-xs">{says}</span>}
        </div>
        {flow && (
          <p>
            <span className="tabular font-semibold text-2xl tracking-tight">
              {flow.per_second === null ? "–" : rate(flow.per_second)}
            </span>{" "}
            <span className="text-soft text-xs">{verb}</span>
          </p>
        )}
        {waits !== undefined && (
          <p className={flow ? "text-soft text-xs" : ""} title={count(waits)}>
            <span className={flow ? "tabular" : "tabular font-semibold text-2xl tracking-tight"}>
              {approximate ? "≥ " : ""}
              {compact(waits)}
            </span>{" "}
            <span className="text-soft text-xs">{waiting}</span>
          </p>
        )}
        {flow?.total != null && (
          <p className="text-soft text-xs" title={count(flow.total)}>
            {flow.exact ? "" : "about "}
            {compact(flow.total)} in all
          </p>
        )}
        <p className="flex gap-3 text-soft text-xs [&_a]:text-accent [&_a]:underline [&_a]:underline-offset-2">
          {children}
        </p>
      </div>
    </li>
  );
}
