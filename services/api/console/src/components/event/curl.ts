import type { Schemas } from "@/lib/api";

const ORDERS = "oncely:orders";

export type Command = { text: string; sends: boolean };

/** A command that sends this event once more: under its own id it is a duplicate and does nothing. */
export function curlOf(event: Schemas["EventRow"], origin: string, withKey: boolean): Command {
  const key = withKey ? ['  -H "Authorization: Bearer $ONCELY_API_KEY" \\'] : [];
  // The events of orders come from orders only, and an expired payload cannot be sent.
  if (event.source === ORDERS || event.payload_expired_at !== null) {
    const text = ["curl \\", ...key, `  ${origin}/events/${event.id}`].join("\n");
    return { text, sends: false };
  }
  const body = {
    id: event.external_id,
    type: event.type,
    source: event.source,
    ...(event.subject === null ? {} : { subject: event.subject }),
    ...(event.time === null ? {} : { time: event.time }),
    data: event.data,
  };
  const text = [
    `curl -X POST ${origin}/events \\`,
    ...key,
    "  -H 'Content-Type: application/json' \\",
    // A here-document: no quoting, and no limit on the length of an argument.
    "  --data-binary @- <<'JSON'",
    JSON.stringify(body, null, 2),
    "JSON",
  ].join("\n");
  return { text, sends: true };
}
