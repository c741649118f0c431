import { useEffect, useMemo, useRef, useState } from "react";
import { type News, useLive, useLiveState } from "@/lib/live";
import { Arrivals, type Extent } from "./arrivals";
import { type EventFilters, isToldBySocket } from "./filters";
import type { EventItem } from "./rows";
import { type EventList, PAGE_ROWS } from "./useEventList";

const TICK_MS = 1_000;
const PEEK_MS = 2_000;
const FLOOD_MS = 2_000;
const WITHOUT_SOCKET_MS = 5_000;
const AFTER_FAILURE_MS = 5_000;
const FRESH_MS = 3_000;
const REREAD_MAX = 40;
const ALL_GAP: News = { updates: [], omitted: [], gap: true };

type Options = {
  filters: EventFilters;
  list: EventList;
  on: boolean;
  /** Which rows are on the screen, and whether nobody would mind if rows came in now. */
  shown: () => EventItem[];
  isCalm: () => boolean;
};

/**
 * Keeps a list true without moving it: new rows are counted, rows on the screen are read again when
 * they are said to have changed, and only while nobody is at the list new rows come in by themselves.
 * All of it at most once a second, however many updates there are.
 */
export function useLiveList({ filters, list, on, shown, isCalm }: Options) {
  const [failure, setFailure] = useState<unknown>(null);
  const latest = useRef({ filters, list, on, shown, isCalm });
  latest.current = { filters, list, on, shown, isCalm };
  const keeper = useMemo(() => new Keeper(latest, setFailure), []);
  useLive(on ? { kinds: ["event"] } : null, (news) => keeper.hear(news));

  const state = useLiveState();
  const { isPlaceholderData, isSuccess, dataUpdatedAt } = list.query;
  const ready = isSuccess && !isPlaceholderData;
  const readAt = useRef(dataUpdatedAt);
  readAt.current = dataUpdatedAt;
  const wasLive = useRef(false);
  const key = JSON.stringify(filters);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter is another list
  useEffect(() => keeper.restart(), [keeper, key]);
  useEffect(() => {
    if (!on || !ready) {
      wasLive.current = on && state === "live";
      return;
    }
    // What stands in the cache may be old, and what changed before the socket came is not told.
    const isFresh = wasLive.current && Date.now() - readAt.current < FRESH_MS;
    wasLive.current = state === "live";
    if (isFresh) keeper.arrive();
    else keeper.hear(ALL_GAP);
    if (state === "live") return;
    const timer = window.setInterval(() => keeper.hear(ALL_GAP), WITHOUT_SOCKET_MS);
    return () => window.clearInterval(timer);
  }, [keeper, on, ready, state]);
  useEffect(() => {
    const wake = () => keeper.wake();
    document.addEventListener("visibilitychange", wake);
    return () => {
      document.removeEventListener("visibilitychange", wake);
      keeper.close();
    };
  }, [keeper]);
  return { keeper, failure };
}

type Latest = { current: Options };

export class Keeper {
  readonly arrivals = new Arrivals();
  private dirty = new Set<string>();
  private vague = false;
  private timer: number | undefined;
  private ticking = false;
  private tickedAt = 0;
  private peekedAt = 0;
  private readAt = 0;
  private generation = 0;

  constructor(
    private readonly latest: Latest,
    private readonly tellFailure: (error: unknown) => void,
  ) {}

  hear(news: News): void {
    const { filters, list } = this.latest.current;
    if (news.gap) {
      this.vague = true;
      for (const row of list.rows) this.dirty.add(row.id);
    } else if (isToldBySocket(filters)) {
      const { changed, isVague } = this.arrivals.take(news, this.extent(), filters.type);
      for (const id of changed) this.dirty.add(id);
      if (isVague) this.vague = true;
    } else {
      const loaded = this.loaded();
      for (const { id } of news.updates) if (loaded.has(id)) this.dirty.add(id);
      // Whether one of them belongs here only the api can say.
      this.vague = true;
    }
    this.wake();
  }

  /** Something may be done now that could not be done before. */
  wake(): void {
    if (this.timer !== undefined || this.ticking || !this.hasWork()) return;
    const wait = Math.max(0, this.tickedAt + TICK_MS - Date.now());
    this.timer = window.setTimeout(() => void this.tick(), wait);
  }

  /** Show what there is now, from the newest on. */
  async refresh(): Promise<void> {
    await this.guarded(() => this.readAnew());
  }

  /** The rows of another filter are there; what was counted on the way to them may be among them. */
  arrive(): void {
    const { omitted } = this.arrivals.mark();
    this.arrivals.settle({ ids: new Set(), omitted }, this.extent());
    if (omitted > 0) this.vague = true;
    this.wake();
  }

  restart(): void {
    this.generation += 1;
    this.dirty.clear();
    this.vague = false;
    this.arrivals.clear();
    this.tellFailure(null);
  }

  close(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private hasWork(): boolean {
    const { on, isCalm } = this.latest.current;
    if (!on || document.hidden) return false;
    if (this.vague || this.dirtyShown().length > 0) return true;
    return this.arrivals.read().count > 0 && isCalm();
  }

  private async tick(): Promise<void> {
    this.timer = undefined;
    this.ticking = true;
    this.tickedAt = Date.now();
    await this.guarded(() => this.work());
    this.ticking = false;
    this.wake();
  }

  private async guarded(run: () => Promise<void>): Promise<void> {
    const generation = this.generation;
    try {
      await run();
      this.tellFailure(null);
    } catch (error) {
      this.tickedAt = Date.now() + AFTER_FAILURE_MS;
      if (generation === this.generation) this.tellFailure(error);
    }
  }

  private async readAnew(): Promise<void> {
    this.readAt = Date.now();
    const generation = this.generation;
    const marked = this.arrivals.mark();
    const page = await this.latest.current.list.refresh();
    if (page === null || generation !== this.generation) return;
    this.vague = false;
    this.dirty.clear();
    const ids = new Set(page.events.map((item) => item.id));
    const oldest = page.next_cursor === null ? null : (page.events.at(-1)?.id ?? null);
    this.arrivals.settle(marked, { has: (id) => ids.has(id), oldest });
  }

  private async work(): Promise<void> {
    const { on, isCalm, list } = this.latest.current;
    if (!on || document.hidden || list.query.isFetching) return;
    const { count } = this.arrivals.read();
    if (isCalm() && (this.vague || count > 0)) {
      // When every row is another one each time, nobody reads them: half as often is enough.
      if (count > PAGE_ROWS && Date.now() - this.readAt < FLOOD_MS) return;
      return this.readAnew();
    }
    if (this.vague && Date.now() - this.peekedAt >= PEEK_MS) await this.peek();
    const ids = this.dirtyShown().slice(0, REREAD_MAX);
    if (ids.length === 0) return;
    for (const id of ids) this.dirty.delete(id);
    try {
      await list.reread(ids);
    } catch (error) {
      for (const id of ids) this.dirty.add(id);
      throw error;
    }
  }

  private async peek(): Promise<void> {
    this.peekedAt = Date.now();
    const generation = this.generation;
    this.vague = false;
    const mark = this.arrivals.mark();
    const page = await this.latest.current.list.peek();
    if (generation !== this.generation) return;
    const loaded = this.loaded();
    const found = page.events.filter((item) => !loaded.has(item.id)).map((item) => item.id);
    const isMore = found.length === page.events.length && page.next_cursor !== null;
    this.arrivals.probe(found, isMore, mark);
  }

  private dirtyShown(): string[] {
    if (this.dirty.size === 0) return [];
    return this.latest.current
      .shown()
      .map((row) => row.id)
      .filter((id) => this.dirty.has(id));
  }

  private index: { of: EventItem[]; ids: Set<string> } = { of: [], ids: new Set() };

  private loaded(): Set<string> {
    const { rows } = this.latest.current.list;
    if (this.index.of !== rows) this.index = { of: rows, ids: new Set(rows.map((row) => row.id)) };
    return this.index.ids;
  }

  private extent(): Extent {
    const { query, rows } = this.latest.current.list;
    const loaded = this.loaded();
    return {
      has: (id) => loaded.has(id),
      oldest: query.hasNextPage ? (rows.at(-1)?.id ?? null) : null,
    };
  }
}
