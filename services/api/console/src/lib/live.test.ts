import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveClient, type News, Pace } from "./live";

class Socket {
  static OPEN = 1;
  static made: Socket[] = [];
  readyState = 1;
  sent: Record<string, unknown>[] = [];
  onmessage: (message: { data: string }) => void = () => undefined;
  onclose: () => void = () => undefined;
  constructor() {
    Socket.made.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  take(frame: object): void {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  close(): void {
    this.onclose();
  }
}

const HELLO = { type: "hello", stream: "s", seq: 7, heartbeat_seconds: 15 };

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Socket);
  Socket.made = [];
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function open() {
  const live = new LiveClient(() => "ws://example.test/ws");
  const heard: string[] = [];
  const hear = (name: string) => (news: News) => heard.push(news.gap ? `${name} gap` : name);
  live.watch({ kinds: ["rule"] }, hear("first"));
  const socket = Socket.made[0] as Socket;
  socket.take(HELLO);
  return { live, socket, heard, hear };
}

it("who asked before the stream began asks once more; who joins later goes on from its place", async () => {
  const { live, socket, heard, hear } = open();
  socket.take({ type: "subscribed", seq: 7 });
  expect(heard).toEqual(["first gap"]);
  socket.take({ type: "heartbeat", seq: 9 });
  live.watch({ kinds: ["target"] }, hear("second"));
  await vi.advanceTimersByTimeAsync(0);
  expect(socket.sent.at(-1)).toMatchObject({ stream: "s", last_seq: 9 });
  socket.take({ type: "subscribed", seq: 9 });
  expect(heard).toEqual(["first gap"]);
});

it("while the socket is away every view asks by itself, and no longer once it is back", async () => {
  const { socket, heard } = open();
  socket.take({ type: "subscribed", seq: 7 });
  heard.length = 0;
  socket.close();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(heard).toEqual(["first gap"]);
  (Socket.made.at(-1) as Socket).take({ ...HELLO, heartbeat_seconds: 60 });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(heard).toEqual(["first gap"]);
});

it("an answer slower than the pause arrives before the next is asked for", async () => {
  const answers: (() => void)[] = [];
  const pace = new Pace(() => new Promise<void>((resolve) => answers.push(resolve)), 1_000);
  pace.ask();
  await vi.advanceTimersByTimeAsync(0);
  for (let news = 0; news < 5; news += 1) {
    pace.ask();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(answers).toHaveLength(1);
  answers[0]?.();
  await vi.advanceTimersByTimeAsync(999);
  expect(answers).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(answers).toHaveLength(2);
});
