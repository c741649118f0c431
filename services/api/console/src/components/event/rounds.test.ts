import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Rounds } from "./rounds";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("asks at most once a second while news flow, and never puts it off", async () => {
  const run = vi.fn(async () => undefined);
  const rounds = new Rounds(run);
  for (let passed = 0; passed < 4_100; passed += 50) {
    rounds.ask(1_000);
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(run).toHaveBeenCalledTimes(4);
});

it("waits for a slow answer before it asks again, and asks once more after the last news", async () => {
  let answer: () => void = () => undefined;
  const run = vi.fn(() => new Promise<void>((done) => (answer = done)));
  const rounds = new Rounds(run);
  rounds.ask(1_000);
  await vi.advanceTimersByTimeAsync(10_000);
  rounds.ask(1_000);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(run).toHaveBeenCalledTimes(1);
  answer();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(run).toHaveBeenCalledTimes(2);
});

it("lets news of its own overtake what may be its own", async () => {
  const run = vi.fn(async () => undefined);
  const rounds = new Rounds(run);
  rounds.ask(5_000);
  await vi.advanceTimersByTimeAsync(200);
  rounds.ask(5_000);
  await vi.advanceTimersByTimeAsync(900);
  expect(run).toHaveBeenCalledTimes(1);
  rounds.ask(1_000);
  await vi.advanceTimersByTimeAsync(200);
  expect(run).toHaveBeenCalledTimes(2);
});
