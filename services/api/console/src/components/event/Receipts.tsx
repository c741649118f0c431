import { Button } from "@/components/Button";
import { Id, Json } from "@/components/Code";
import { Card } from "@/components/Page";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { plural } from "@/lib/format";
import { differencesOf } from "./differences";

type Receipt = Schemas["ReceiptRow"];
type EventRow = Schemas["EventRow"];

/** Other payloads that came under this id: they were refused, and kept to be looked at. */
export function Receipts({
  event,
  onReplay,
}: {
  event: EventRow;
  onReplay?: (receipt: number) => void;
}) {
  const params = { path: { event_id: event.id } };
  const query = api.useQuery("get", "/events/{event_id}/receipts", { params });
  return (
    <Card title="Other payloads under this id" flush>
      <Loaded query={query} rows={2}>
        {({ receipts }) =>
          receipts.length === 0 ? (
            <p className="p-4 text-soft text-sm">
              None: whatever came under this id had the same payload.
            </p>
          ) : (
            <ul className="divide-y divide-line">
              {receipts.map((receipt) => (
                <li key={receipt.id} className="flex flex-col gap-3 p-4">
                  <Told receipt={receipt} event={event} onReplay={onReplay} />
                  <Compared receipt={receipt} event={event} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

type Props = { receipt: Receipt; event: EventRow; onReplay?: (receipt: number) => void };

function Told({ receipt, event, onReplay }: Props) {
  const fits = receipt.type === event.type && receipt.subject === event.subject;
  const may = onReplay !== undefined && event.payload_expired_at === null;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
      <span className="font-medium">Receipt {receipt.id}</span>
      <span>
        refused {receipt.seen_count === 1 ? "once" : plural(receipt.seen_count, "time")},{" "}
        {receipt.seen_count > 1 && "last "}
        <Time at={receipt.last_seen_at} />
      </span>
      <span className="text-soft">
        <Id id={receipt.payload_hash} short={`${receipt.payload_hash.slice(0, 12)}…`} />
      </span>
      {may && fits && (
        <Button small className="ml-auto" onClick={() => onReplay(receipt.id)}>
          Replay with this payload
        </Button>
      )}
      {may && !fits && (
        <span className="ml-auto text-soft text-xs">
          Has another type or subject: send it as an event of its own.
        </span>
      )}
    </div>
  );
}

function Compared({ receipt, event }: Props) {
  const whole = (of: { type: string; subject: string | null; data: unknown }) => ({
    ...(receipt.type === event.type ? {} : { type: of.type }),
    ...(receipt.subject === event.subject ? {} : { subject: of.subject }),
    data: of.data,
  });
  const { found, more } = differencesOf(whole(event), whole(receipt));
  return (
    <>
      {found.length === 0 ? (
        <p className="text-soft text-sm">
          The values are equal; the text differs, e.g. in how a number is written.
        </p>
      ) : (
        <div className="overflow-x-auto rounded-md border border-line">
          <table
            aria-label={`How receipt ${receipt.id} differs`}
            className="w-full table-fixed text-sm"
          >
            <thead>
              <tr className="bg-sunken text-left text-soft text-xs">
                {["Where", "This event", "That payload"].map((title) => (
                  <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody className="align-top font-mono text-[13px]">
              {found.map(({ pointer, before, after }) => (
                <tr key={pointer} className="border-line border-t">
                  <td className="break-all px-3 py-1.5">{pointer}</td>
                  <Value value={before} />
                  <Value value={after} />
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more && <p className="text-soft text-sm">And more: only the first are shown.</p>}
      <details className="text-sm">
        <summary className="cursor-pointer text-soft">The whole payload</summary>
        <div className="mt-2">
          <Json value={receipt.data} label={`Payload of receipt ${receipt.id}`} />
        </div>
      </details>
    </>
  );
}

const VALUE_CHARACTERS_MAX = 300;

function Value({ value }: { value: unknown }) {
  if (value === undefined) return <td className="px-3 py-1.5 font-sans text-soft">not there</td>;
  const text = JSON.stringify(value) ?? "";
  return (
    <td className="break-all px-3 py-1.5">
      {text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text}
    </td>
  );
}
