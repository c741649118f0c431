import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Status } from "@/components/Badge";
import { Id } from "@/components/Code";
import { Card } from "@/components/Page";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { count } from "@/lib/format";
import type { Timeline } from "./entries";
import { outcomeOf } from "./outcome";

type EventRow = Schemas["EventRow"];

/** The answer first: what became of it; then what it is. */
export function Head({ event, timeline }: { event: EventRow; timeline: Timeline | undefined }) {
  const trace = event.traceparent.split("-")[1];
  const facts: [string, ReactNode][] = [
    ["External id", <Id key="id" id={event.external_id} />],
    [
      "Source",
      <span key="source" className="break-all">
        {event.source}
      </span>,
    ],
    [
      "Subject",
      event.subject === null ? (
        <None key="none" />
      ) : (
        <BySubject key="subject" subject={event.subject} />
      ),
    ],
    ["Received", <Received key="received" event={event} />],
    ["Replays", event.replay === 0 ? "none" : <Replayed key="replayed" event={event} />],
    [
      "Trace",
      trace ? <Id key="trace" id={trace} short={`${trace.slice(0, 16)}…`} /> : <None key="none" />,
    ],
  ];
  return (
    <Card>
      <div className="flex flex-col gap-3">
        <div className="flex flex-wrap items-start gap-x-3 gap-y-1">
          <Status of={event.status} />
          <p aria-live="polite" className="min-w-0 flex-1 basis-64 break-words font-medium">
            {timeline ? outcomeOf(timeline) : "…"}
          </p>
        </div>
        {event.payload_expired_at !== null && (
          <p className="rounded-md bg-warn-tint px-3 py-2 text-sm text-warn">
            Its payload has expired (<Time at={event.payload_expired_at} />
            ): retention emptied it. What happened is still here; it cannot be replayed.
          </p>
        )}
        <dl className="grid grid-cols-2 gap-x-6 gap-y-2.5 text-sm md:grid-cols-3 xl:grid-cols-6">
          {facts.map(([name, value]) => (
            <div key={name} className="min-w-0">
              <dt className="text-soft text-xs">{name}</dt>
              <dd className="min-w-0 break-words">{value}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Card>
  );
}

function None() {
  return <span className="text-soft">none</span>;
}

function BySubject({ subject }: { subject: string }) {
  return (
    <Link
      to="/events"
      search={{ subject }}
      className="line-clamp-2 break-words text-accent underline underline-offset-2"
      title={subject}
    >
      {subject}
    </Link>
  );
}

function Received({ event }: { event: EventRow }) {
  const more = event.received_count - 1;
  return (
    <>
      <Time at={event.received_at} />
      {more > 0 && (
        <span className="text-soft">
          , then {more === 1 ? "one duplicate" : `${count(more)} duplicates`}
        </span>
      )}
    </>
  );
}

function Replayed({ event }: { event: EventRow }) {
  return (
    <>
      {count(event.replay)}, <span className="text-soft">last</span> <Time at={event.replayed_at} />
    </>
  );
}
