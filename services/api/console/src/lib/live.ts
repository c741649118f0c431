import { useEffect, useRef, useSyncExternalStore } from "react";
import { key } from "./key";

export type Kind =
  | "event"
  | "delivery"
  | "dead_letter"
  | "replay_job"
  | "rule"
  | "target"
  | "event_type"
  | "fault"
  | "backtest";
export type Update = { kind: Kind; id: string; status: string; event_type: string | null };
export type Omitted = { kind: Kind; status: string; event_type: string | null; count: number };
export type Subscription = { kinds?: Kind[]; event_types?: string[]; statuses?: string[] };
/** What a view is told. `gap` means: something was missed, ask by REST again. */
export type News = { updates: Update[]; omitted: Omitted[]; gap: boolean };
export type LiveState = "connecting" | "live" | "reconnecting";

type Frame =
  | { type: "hello"; stream: string; seq: number; heartbeat_seconds: number }
  | { type: "subscribed"; seq: number }
  | { type: "updates"; seq: number; updates: Update[]; omitted: Omitted[] }
  | { type: "gap"; seq: number; reason: string }
  | { type: "heartbeat"; seq: number };

type Watcher = { subscription: Subscription; tell: (news: News) => void };

const PROTOCOL = "oncely.live.v1";
const WAIT_MS_MAX = 15_000;
const SILENT_BEATS_MAX = 3;
const WAITED_MS_BEFORE_SAYING_SO = 2_000;
const ASK_MS_WITHOUT_SOCKET = 10_000;

/** One socket for the page. It is a hint; the REST answers stay the truth. */
export class LiveClient {
  private socket: WebSocket | null = null;
  private watchers = new Set<Watcher>();
  private listeners = new Set<() => void>();
  private stream: string | null = null;
  private seq = 0;
  private failures = 0;
  private retry: number | undefined;
  private silence: number | undefined;
  private told = "";
  private scheduled = false;
  /** Who was there before the stream began, and may have asked by REST even earlier. */
  private early = new Set<Watcher>();
  private asking: number | undefined;
  state: LiveState = "connecting";

  constructor(private readonly address: () => string) {}

  watch(subscription: Subscription, tell: (news: News) => void): () => void {
    const watcher = { subscription, tell };
    this.watchers.add(watcher);
    if (this.socket === null && this.retry === undefined) this.connect();
    else this.scheduleSubscribe();
    return () => {
      this.watchers.delete(watcher);
      this.scheduleSubscribe();
    };
  }

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  close(): void {
    window.clearTimeout(this.retry);
    window.clearTimeout(this.silence);
    this.stopAsking();
    this.socket?.close();
    this.socket = null;
    this.retry = undefined;
  }

  /** With the key of now. */
  reopen(): void {
    this.close();
    if (this.watchers.size > 0) this.connect();
  }

  private connect(): void {
    this.retry = undefined;
    const value = key.read();
    const protocols = value === null ? [PROTOCOL] : [PROTOCOL, `oncely.bearer.${value}`];
    const socket = new WebSocket(this.address(), protocols);
    this.socket = socket;
    this.told = "";
    socket.onmessage = (message) => this.take(socket, JSON.parse(message.data as string) as Frame);
    socket.onclose = () => this.lost(socket);
  }

  private take(socket: WebSocket, frame: Frame): void {
    if (socket !== this.socket) return;
    if (frame.type === "hello") {
      this.failures = 0;
      this.stopAsking();
      if (this.stream === null) {
        [this.stream, this.seq] = [frame.stream, frame.seq];
        this.early = new Set(this.watchers);
      }
      this.subscribe();
      this.stream = frame.stream;
      this.expectBeats(frame.heartbeat_seconds);
      this.enter("live");
      return;
    }
    this.restartSilence();
    this.seq = Math.max(this.seq, frame.seq);
    if (frame.type === "subscribed") this.tellEarly();
    if (frame.type === "updates") this.tellUpdates(frame.updates, frame.omitted);
    if (frame.type === "gap") {
      this.seq = frame.seq;
      this.tellGap();
    }
  }

  private tellUpdates(updates: Update[], omitted: Omitted[]): void {
    for (const watcher of [...this.watchers]) {
      const wanted = (each: Update | Omitted) => matches(watcher.subscription, each);
      const news = { updates: updates.filter(wanted), omitted: omitted.filter(wanted), gap: false };
      if (news.updates.length > 0 || news.omitted.length > 0) watcher.tell(news);
    }
  }

  private tellGap(): void {
    for (const watcher of [...this.watchers]) watcher.tell({ updates: [], omitted: [], gap: true });
  }

  /** What happened between their REST answers and the beginning of the stream is in no frame. */
  private tellEarly(): void {
    const early = [...this.early].filter((each) => this.watchers.has(each));
    this.early.clear();
    for (const watcher of early) watcher.tell({ updates: [], omitted: [], gap: true });
  }

  /** Views come and go together when a page changes: one frame for all of them. */
  private scheduleSubscribe(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.subscribe();
    });
  }

  /** With the place where we are: a view that joins misses nothing while its wish is on the way. */
  private subscribe(): void {
    // Before the hello there is no place to go on from; the hello subscribes for all.
    if (this.socket?.readyState !== WebSocket.OPEN || this.stream === null) return;
    const unique = new Set([...this.watchers].map((each) => JSON.stringify(each.subscription)));
    const text = [...unique].sort().join(",");
    if (text === this.told) return;
    this.told = text;
    const subscriptions = [...unique].map((each) => JSON.parse(each) as Subscription);
    const place = { stream: this.stream, last_seq: this.seq };
    this.socket.send(JSON.stringify({ type: "subscribe", subscriptions, ...place }));
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return;
    this.socket = null;
    window.clearTimeout(this.silence);
    // Everybody comes back at another moment: the api that returns is not met by all at once.
    const wait = Math.min(WAIT_MS_MAX, 250 * 2 ** this.failures) * (0.5 + Math.random());
    this.failures += 1;
    if (wait > WAITED_MS_BEFORE_SAYING_SO || this.failures > 2) this.enter("reconnecting");
    this.retry = window.setTimeout(() => this.connect(), wait);
    this.asking ??= window.setInterval(() => {
      if (!document.hidden) this.tellGap();
    }, ASK_MS_WITHOUT_SOCKET);
  }

  private stopAsking(): void {
    window.clearInterval(this.asking);
    this.asking = undefined;
  }

  private beatMs = 15_000;

  private expectBeats(seconds: number): void {
    this.beatMs = seconds * 1_000;
    this.restartSilence();
  }

  /** A connection that died without a word is noticed by the heartbeats that do not come. */
  private restartSilence(): void {
    window.clearTimeout(this.silence);
    const socket = this.socket;
    this.silence = window.setTimeout(() => socket?.close(), this.beatMs * SILENT_BEATS_MAX);
  }

  private enter(state: LiveState): void {
    if (state === this.state) return;
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}

export function matches(subscription: Subscription, each: Update | Omitted): boolean {
  const { kinds, statuses, event_types: types } = subscription;
  if (kinds && !kinds.includes(each.kind)) return false;
  if (statuses && !statuses.includes(each.status)) return false;
  const type = each.event_type;
  if (!types || type === null) return true;
  return types.some((one) =>
    one.endsWith(".*") ? type.startsWith(one.slice(0, -1)) : one === type,
  );
}

function address(): string {
  return `${window.location.protocol === "https:" ? "wss" : "ws"}://${window.location.host}/ws`;
}

export const live = new LiveClient(address);

export function useLiveState(): LiveState {
  return useSyncExternalStore(live.listen, () => live.state);
}

/** Hear of changes while the view is there. The newest `tell` is called; it need not be stable. */
export function useLive(
  subscription: Subscription | null,
  tell: (news: News) => void,
  source: Pick<LiveClient, "watch"> = live,
): void {
  const latest = useRef(tell);
  latest.current = tell;
  const text = subscription === null ? null : JSON.stringify(subscription);
  useEffect(() => {
    if (text === null) return;
    return source.watch(JSON.parse(text) as Subscription, (news) => latest.current(news));
  }, [text, source]);
}

/**
 * Call `refetch` after news: one at a time, the next one `everyMs` after the last answer, and once
 * more for what came meanwhile. It gives its promise, and must not cancel what is under way.
 */
export function useLiveRefetch(
  subscription: Subscription | null,
  refetch: () => Promise<unknown>,
  everyMs = 1_000,
): void {
  const latest = useRef(refetch);
  latest.current = refetch;
  const pace = useRef<Pace>(null);
  pace.current ??= new Pace(() => latest.current(), everyMs);
  useEffect(() => () => pace.current?.stop(), []);
  useLive(subscription, () => pace.current?.ask());
}

/** Runs one at a time, with a pause after each. */
export class Pace {
  private timer: number | undefined;
  private isRunning = false;
  private isAsked = false;
  private last = 0;

  constructor(
    private readonly run: () => Promise<unknown>,
    private readonly everyMs: number,
  ) {}

  ask(): void {
    this.isAsked = true;
    if (this.isRunning || this.timer !== undefined) return;
    const wait = Math.max(0, this.last + this.everyMs - Date.now());
    this.timer = window.setTimeout(() => void this.begin(), wait);
  }

  stop(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    this.isAsked = false;
  }

  private async begin(): Promise<void> {
    this.timer = undefined;
    this.isAsked = false;
    this.isRunning = true;
    try {
      await this.run();
    } catch {
      // Whoever shows the query shows its error.
    }
    this.isRunning = false;
    this.last = Date.now();
    if (this.isAsked) this.ask();
  }
}
