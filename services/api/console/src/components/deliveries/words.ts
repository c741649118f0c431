import type { Schemas } from "@/lib/api";

export type DeliveryRow = Schemas["deliveries_DeliveryRow"];
export type Delivery = Schemas["Delivery"];
export type Attempt = Schemas["AttemptRow"];
export const STATES = ["pending", "sending", "confirmed", "failed", "unknown", "skipped"] as const;
export type State = (typeof STATES)[number];

export function isState(text: string | undefined): text is State {
  return STATES.some((state) => state === text);
}

export const UNKNOWN =
  "It was sent and no answer came: it may or may not have arrived. The receiver can tell by the webhook-id.";

export function isKind(text: string | undefined): text is "webhook" | "email" {
  return text === "webhook" || text === "email";
}

/** What a state means for who waits for the delivery. */
export const MEANS: Record<State, string> = {
  pending: "waits for its moment",
  sending: "an attempt is under way",
  confirmed: "the receiver said yes",
  failed: "given up, never accepted",
  unknown: "may or may not have arrived",
  skipped: "not sent, and says why",
};

/** Where it goes, in the words that are known: a name before an id. */
export function placeOf(row: { destination: string; target_id: string | null }, name?: string) {
  if (name) return name;
  if (row.destination === "email") return "E-mail";
  return row.target_id === null ? row.destination : `target ${row.target_id.slice(-8)}`;
}

/** The newest thing that is known about how it goes. */
export function lastAnswer(row: DeliveryRow): string {
  if (row.state === "skipped") return row.reason ?? "skipped";
  if (row.last_error) return row.last_error;
  if (row.last_status !== null) return `answered ${row.last_status}`;
  return row.attempt_no === 0 ? "not tried yet" : "";
}
