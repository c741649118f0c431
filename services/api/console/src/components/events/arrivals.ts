import type { News } from "@/lib/live";

export const COUNTED_MAX = 999;

/** What of the list is on this page: enough to tell a new row from a change of an old one. */
export type Extent = {
  has: (id: string) => boolean;
  /** The last row of what is loaded; null: everything is. Ids rise with time. */
  oldest: string | null;
};
export type Mark = { ids: ReadonlySet<string>; omitted: number };
export type Taken = { changed: string[]; isVague: boolean };
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

  /**
   * Count what is new, and give back which loaded rows are said to have changed and whether only the
   * api can say how much is new. An event that is processed quickly is told with its last status
   * only, so a new row may come with any.
   */
  take(news: News, extent: Extent, type: string | undefined): Taken {
    const changed: string[] = [];
    let isVague = false;
    for (const { id, event_type } of news.updates) {
      if (extent.has(id)) changed.push(id);
      else if (isWanted(event_type, type) && isWithin(id, extent)) {
        if (this.ids.size <= COUNTED_MAX) this.ids.add(id);
      }
    }
    for (const { status, event_type, count } of news.omitted) {
      if (!isWanted(event_type, type)) continue;
      if (status === "pending") this.omitted += count;
      else isVague = true;
    }
    this.tell();
    return { changed, isVague };
  }

  /** Before the api is asked: what is told from here on may not be in its answer. */
  mark(): Mark {
    return { ids: new Set(this.ids), omitted: this.omitted };
  }

  /** The api said what waits: that is the truth, besides what was told since it was asked. */
  probe(found: string[], isMore: boolean, mark: Mark): void {
    // One page of the api says nothing of what lies behind it: there the own count is better.
    const kept = [...this.ids].filter((id) => isMore || !mark.ids.has(id));
    this.ids = new Set([...found, ...kept]);
    if (!isMore) this.omitted = Math.max(0, this.omitted - mark.omitted);
    this.atLeast = isMore;
    this.tell();
  }

  /** The list was read again: forget what was told before, and what came with it. */
  settle(mark: Mark, extent: Extent): void {
    for (const id of this.ids) {
      if (mark.ids.has(id) || extent.has(id) || !isWithin(id, extent)) this.ids.delete(id);
    }
    this.omitted = Math.max(0, this.omitted - mark.omitted);
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
