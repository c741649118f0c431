import { client } from "@/lib/api";
import type { Search } from "@/lib/search";
import { requireKnown } from "./known";
import { useRows } from "./rows";
import { type DeliveryRow, isKind, isState, STATES } from "./words";

const PAGE_ROWS = 100;
const TEXTS = [
  "event_id",
  "rule_id",
  "target_id",
  "destination",
  "created_after",
  "created_before",
] as const;

/** Deliveries of a filter, newest first, by pages. */
export function useDeliveries(search: Search) {
  const { kind, state } = search;
  const filters = {
    ...(isState(state) ? { state } : {}),
    ...(isKind(kind) ? { kind } : {}),
    ...said(search),
  };
  return useRows<DeliveryRow>({
    key: ["rows", "/deliveries", filters, kind, state],
    kind: "delivery",
    load: async (cursor, signal) => {
      requireKnown(search, { state: STATES, kind: ["webhook", "email"] });
      const query = { ...filters, limit: PAGE_ROWS, ...(cursor ? { cursor } : {}) };
      const { data } = await client.GET("/deliveries", {
        params: { query },
        ...(signal ? { signal } : {}),
      });
      return { rows: data?.deliveries ?? [], next: data?.next_cursor ?? null };
    },
  });
}

/** Without what says nothing: the api takes an empty filter for a wrong one. */
function said(search: Search): Partial<Record<(typeof TEXTS)[number], string>> {
  return Object.fromEntries(TEXTS.flatMap((name) => (search[name] ? [[name, search[name]]] : [])));
}
