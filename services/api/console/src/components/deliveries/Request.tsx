import { Code, Json } from "@/components/Code";
import { Card, Facts } from "@/components/Page";
import type { Delivery } from "./words";

/** The request as it is sent, the same at each attempt. */
export function Request({ delivery }: { delivery: Delivery }) {
  const { request } = delivery;
  if (request === null)
    return (
      <Card title="Request">
        <p className="text-soft text-sm">
          {delivery.payload_expired
            ? "What it sent was removed: the retention of its event type is over."
            : `No request was made: ${delivery.reason ?? "it could not be rendered"}.`}
        </p>
      </Card>
    );
  return request.method ? (
    <Webhook request={request} id={delivery.id} />
  ) : (
    <Mail request={request} id={delivery.id} />
  );
}

type Sent = NonNullable<Delivery["request"]>;

function Webhook({ request, id }: { request: Sent; id: string }) {
  const own = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const hidden = (request.target_header_names ?? []).map((name) => `${name}: (not shown)`);
  const head = [
    `${request.method} ${request.url ?? "(no address)"}`,
    ...own,
    ...hidden,
    `webhook-id: ${id}`,
    "webhook-timestamp: (the moment of each attempt)",
    "webhook-signature: (made for each attempt)",
  ].join("\n");
  return (
    <Card title="Request as it is sent">
      <div className="flex flex-col gap-3">
        <Code text={head} label="request head" />
        {request.body === undefined || request.body === null ? (
          <p className="text-soft text-sm">It has no body.</p>
        ) : (
          <Body value={request.body} />
        )}
      </div>
    </Card>
  );
}

function Mail({ request, id }: { request: Sent; id: string }) {
  const to = request.to ?? "nobody";
  return (
    <Card title="Mail as it is sent">
      <div className="flex flex-col gap-3">
        <Facts
          facts={[
            ["To", Array.isArray(to) ? to.join(", ") : to],
            ["Subject", request.subject ?? "none"],
            ["Message-ID", <code key="id">{id}</code>],
          ]}
        />
        <Body value={request.body ?? ""} />
      </div>
    </Card>
  );
}

function Body({ value }: { value: unknown }) {
  return typeof value === "string" ? (
    <Code text={value} label="body" />
  ) : (
    <Json value={value} label="body" />
  );
}
