import type { Schemas } from "@/lib/api";

/** What the list keeps of an event: payloads are large and the list never shows them. */
export type EventItem = Pick<
  Schemas["EventRow"],
  | "id"
  | "type"
  | "external_id"
  | "status"
  | "subject"
  | "source"
  | "received_at"
  | "received_count"
  | "replay"
>;
export type ListPage = { events: EventItem[]; next_cursor: string | null };
export type Pages = { pages: ListPage[]; pageParams: (string | null)[] };

export function itemOf(row: Schemas["EventRow"]): EventItem {
  const { id, type, external_id, status, subject, source, received_at, received_count, replay } =
    row;
  return { id, type, external_id, status, subject, source, received_at, received_count, replay };
}

export function isSame(one: EventItem, other: EventItem): boolean {
  return (
    one.id === other.id &&
    one.status === other.status &&
    one.received_count === other.received_count &&
    one.replay === other.replay
  );
}

/** The new page with the old objects where nothing changed, so that those rows are not drawn again. */
export function reuse(known: EventItem[], page: ListPage): ListPage {
  const byId = new Map(known.map((item) => [item.id, item]));
  const events = page.events.map((item) => {
    const old = byId.get(item.id);
    return old !== undefined && isSame(old, item) ? old : item;
  });
  return { ...page, events };
}

/** Change the items that are there in place: no row comes, goes or moves. */
export function patch(data: Pages, changed: EventItem[]): Pages {
  const byId = new Map(changed.map((item) => [item.id, item]));
  const pages = data.pages.map((page) => {
    if (!page.events.some((item) => byId.has(item.id))) return page;
    return { ...page, events: page.events.map((item) => byId.get(item.id) ?? item) };
  });
  return { ...data, pages };
}
