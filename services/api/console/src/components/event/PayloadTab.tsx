import { Code, Id, Json } from "@/components/Code";
import { Card, Facts } from "@/components/Page";
import { Empty } from "@/components/States";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { bytes } from "@/lib/format";
import { Receipts } from "./Receipts";

type EventRow = Schemas["EventRow"];

/** Longer texts are shown without colours: a hundred thousand coloured parts make a page slow. */
const COLOURED_CHARACTERS_MAX = 40_000;

export function PayloadTab({
  event,
  onReplay,
}: {
  event: EventRow;
  onReplay?: (receipt: number) => void;
}) {
  return (
    <div className="flex flex-col gap-4">
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Data event={event} />
        <Card title="Envelope">
          <Facts
            facts={[
              ["Id", <Id key="id" id={event.id} />],
              ["External id", <Id key="external" id={event.external_id} />],
              [
                "Source",
                <span key="source" className="break-all">
                  {event.source}
                </span>,
              ],
              [
                "Type",
                <span key="type" className="break-all">
                  {event.type}
                </span>,
              ],
              ["Subject", event.subject ?? "none"],
              [
                "Sender's time",
                event.time === null ? "none" : <Time key="time" at={event.time} show="exact" />,
              ],
              ["Received", <Time key="received" at={event.received_at} show="exact" />],
              ["Aggregate", `${event.aggregate_id}, number ${event.aggregate_seq}`],
              [
                "Payload hash",
                <Id
                  key="hash"
                  id={event.payload_hash}
                  short={`${event.payload_hash.slice(0, 20)}…`}
                />,
              ],
              ["traceparent", <Id key="trace" id={event.traceparent} />],
            ]}
          />
        </Card>
      </div>
      <Receipts event={event} onReplay={onReplay} />
    </div>
  );
}

function Data({ event }: { event: EventRow }) {
  if (event.payload_expired_at !== null) {
    return (
      <Card title="Data" flush>
        <Empty title="The payload has expired">
          Retention emptied it <Time at={event.payload_expired_at} />. The event type's retention
          says after how many days.
        </Empty>
      </Card>
    );
  }
  const text = JSON.stringify(event.data, null, 2) ?? "null";
  const isLarge = text.length > COLOURED_CHARACTERS_MAX;
  const size = new TextEncoder().encode(JSON.stringify(event.data) ?? "").length;
  return (
    <Card title="Data" aside={bytes(size)}>
      {isLarge ? <Code text={text} label="Data" /> : <Json value={event.data} label="Data" />}
    </Card>
  );
}
