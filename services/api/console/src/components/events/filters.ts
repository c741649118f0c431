import { key } from "@/lib/key";
import type { EVENT_FILTERS } from "@/router";

/** The filters of GET /events as the address has them: texts that the api judges, not we. */
export type FilterName = (typeof EVENT_FILTERS)[number];
export type EventFilters = { [Name in FilterName]?: string };

export const NAMES: FilterName[] = [
  "q",
  "status",
  "type",
  "source",
  "subject",
  "external_id",
  "rule_id",
  "received_after",
  "received_before",
];

export const LABELS: Record<FilterName, string> = {
  q: "search",
  status: "status",
  type: "type",
  source: "source",
  subject: "subject",
  external_id: "external id",
  rule_id: "rule",
  received_after: "received from",
  received_before: "received before",
};

export const STATUSES = ["pending", "processing", "processed", "failed"] as const;

export const RANGES: [string, number][] = [
  ["Last 15 minutes", 15 * 60],
  ["Last hour", 3_600],
  ["Last 24 hours", 86_400],
  ["Last 7 days", 7 * 86_400],
];

/** The moment that a quick range begins at; whole seconds, so that the address stays readable. */
export function since(seconds: number, now: number): string {
  return new Date(now - seconds * 1_000).toISOString().replace(/\.\d+Z$/, "Z");
}

export function isEmpty(filters: EventFilters): boolean {
  return NAMES.every((name) => !filters[name]);
}

/** The query string of the api, in one order whatever the order of the address. */
export function queryOf(filters: EventFilters, more: Record<string, string> = {}): string {
  const params = new URLSearchParams();
  for (const name of NAMES) {
    const value = filters[name];
    if (value) params.set(name, value);
  }
  for (const [name, value] of Object.entries(more)) params.set(name, value);
  return params.toString();
}

/** What a live update tells is its type and status: whether that is enough to know if it belongs. */
export function isToldBySocket(filters: EventFilters): boolean {
  return NAMES.every((name) => name === "type" || !filters[name]);
}

/** Why the filter cannot be handed to a bulk replay, which takes finished events only. */
export function notReplayable(filters: EventFilters): string | null {
  if (filters.status === "pending" || filters.status === "processing")
    return `not while ${filters.status}`;
  return null;
}

/** The present query for a terminal. The key is named and never written out. */
export function curlOf(
  filters: EventFilters,
  origin: string,
  hasKey = key.read() !== null,
): string {
  const query = queryOf(filters);
  const address = `${origin}/events${query ? `?${query}` : ""}`;
  const head = hasKey ? ` -H "Authorization: Bearer $ONCELY_API_KEY"` : "";
  return `curl -sS${head} '${address.replaceAll("'", "%27")}'`;
}
