import type { Schemas } from "@/lib/api";
import type { Search } from "@/lib/search";

export type Filter = Schemas["FilterBody"];
/** A part of an events list's address that a replay cannot be narrowed by. */
export type Unusable = { name: string; value: string; why: string };

const NONE: Filter = {
  type: null,
  status: null,
  source: null,
  subject: null,
  external_id: null,
  q: null,
  rule_id: null,
  received_after: null,
  received_before: null,
  event_ids: null,
};

/**
 * The address of the events list as a replay's filter. What the api cannot narrow by is handed back
 * and never dropped in silence: fewer conditions would mean more events.
 */
export function readFilter(search: Search): { filter: Filter; unusable: Unusable[] } {
  const unusable: Unusable[] = [];
  const { status } = search;
  const finished = status === "processed" || status === "failed";
  if (status && !finished) {
    const why = "Only processed and failed events can be replayed: the others are not finished.";
    unusable.push({ name: "status", value: status, why });
  }
  return {
    filter: {
      ...NONE,
      type: search.type ?? null,
      status: finished ? status : null,
      source: search.source ?? null,
      subject: search.subject ?? null,
      external_id: search.external_id ?? null,
      q: search.q ?? null,
      rule_id: search.rule_id ?? null,
      received_after: search.received_after ?? null,
      received_before: search.received_before ?? null,
    },
    unusable,
  };
}

export function narrows(filter: Filter): boolean {
  return Object.values(filter).some((value) => value !== null);
}
