import type { News } from "@/lib/live";

export const COUNTED_MAX = 999;

/** What of the list is on this page: enough to tell a new row from a change of an old one. */
export type Extent = {
  has: (id: string) => boolean;
  /** The last row of what is loaded; null: everything is. Ids rise with time. */
  oldest: string | null;
};
export type Waiting = { count: number; atLeast: boolean };

/** Rows that are not in the list yet. They wait here, so that the list does not move by itself. */
export class Arrivals {
  private ids = new Set<string>();
  private omitted = 0;
  private atLeast = false;
  private listeners = new Set<() => void>();
  private now: Waiting = { count: 0, atLeast: false };

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  read = (): Waiting => this.now;

  /** Count what is new, and give back which loaded rows are said to have changed. */
  take(news: News, extent: Extent, type: string | undefined): string[] {
    const changed: string[] = [];
    for (const { id, status, event_type } of news.updates) {
      if (extent.has(id)) changed.push(id);
      else if (status === "pending" && isWanted(event_type, type) && isWithin(id, extent)) {
        if (this.ids.size <= COUNTED_MAX) this.ids.add(id);
      }
    }
    for (const { status, event_type, count } of news.omitted) {
      if (status === "pending" && isWanted(event_type, type)) this.omitted += count;
    }
    this.tell();
    return changed;
  }

  /** The api was asked what is there: that is the truth, whatever was counted. */
  probe(found: string[], isMore: boolean): void {
    this.ids = new Set(found);
    this.omitted = 0;
    this.atLeast = isMore;
    this.tell();
  }

  /** Before the list is read again: what is counted from here on may not be in the answer. */
  mark(): number {
    return this.omitted;
  }

  /** After the list was read again: forget what came with it, keep what came meanwhile. */
  settle(marked: number, extent: Extent): void {
    for (const id of this.ids) if (extent.has(id) || !isWithin(id, extent)) this.ids.delete(id);
    this.omitted = Math.max(0, this.omitted - marked);
    this.atLeast = false;
    this.tell();
  }

  clear(): void {
    this.ids.clear();
    this.omitted = 0;
    this.atLeast = false;
    this.tell();
  }

  private tell(): void {
    const next = { count: this.ids.size + this.omitted, atLeast: this.atLeast };
    if (next.count === this.now.count && next.atLeast === this.now.atLeast) return;
    this.now = next;
    for (const listener of this.listeners) listener();
  }
}

function isWanted(type: string | null, wanted: string | undefined): boolean {
  return wanted === undefined || type === null || type === wanted;
}

/** An older event that is replayed is pending again and no new row, unless it belongs in between. */
function isWithin(id: string, { oldest }: Extent): boolean {
  return oldest === null || id > oldest;
}

export function says({ count, atLeast }: Waiting): string {
  if (count > COUNTED_MAX) return "Many new";
  return `${count}${atLeast ? "+" : ""} new`;
}
