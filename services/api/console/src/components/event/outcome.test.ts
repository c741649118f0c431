import { describe, expect, it } from "vitest";
import type { Entry, Timeline } from "./entries";
import { outcomeOf } from "./outcome";

const at = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
const entry = (kind: Entry["kind"], ms: number, rest: Partial<Entry> = {}): Entry => ({
  at: at(ms),
  kind,
  key: `${kind}/${ms}`,
  parent: "run/0",
  depth: 1,
  run: 0,
  outcome: "ok",
  title: "",
  detail: {},
  ...rest,
});
const accepted = entry("accepted", 0, { key: "run/0", parent: null });
const timeline = (status: string, entries: Entry[]): Timeline => ({
  event_id: "e",
  trace_id: null,
  type: "t",
  status,
  received_at: at(0),
  entries: [accepted, ...entries],
  cut_off: false,
});
const done = [
  entry("published", 8),
  entry("attempt", 23, { key: "attempt/0/1" }),
  entry("rule", 23, { parent: "attempt/0/1", detail: { result: "applied" } }),
  entry("rules_skipped", 23, { parent: "attempt/0/1", detail: { versions: 2 } }),
  entry("applied", 23),
];
const webhook = (state: string, attempt_no: number) =>
  entry("delivery", 23, { detail: { kind: "webhook", state, attempt_no } });

describe("what became of an event", () => {
  it("is told with how long it took and what was sent", () => {
    expect(outcomeOf(timeline("processed", [...done, webhook("confirmed", 2)]))).toBe(
      "Applied once, 23 ms after it was received; 1 of 3 rules applied; 1 webhook confirmed after 2 attempts.",
    );
  });

  it("does not hide what is unknown or waits for somebody", () => {
    const letter = entry("dead_letter", 99, { detail: { state: "open" } });
    const words = outcomeOf(timeline("processing", [...done, webhook("unknown", 1), letter]));
    expect(words).toContain("1 webhook unknown (it may have arrived).");
    expect(words).toContain("A dead letter waits for somebody.");
  });

  it("says where an event is that was not applied yet", () => {
    expect(outcomeOf(timeline("pending", []))).toBe("Accepted, waiting to be published.");
    expect(outcomeOf(timeline("pending", [entry("published", 5)]))).toBe(
      "Published, waiting for a consumer.",
    );
  });

  it("names the error of what is tried again and of what was given up", () => {
    const failed = entry("attempt", 9, { outcome: "failed", detail: { error_class: "Timeout" } });
    expect(outcomeOf(timeline("processing", [failed, entry("waiting", 50)]))).toBe(
      "Not applied yet: 1 attempt failed (Timeout), another one is planned.",
    );
    expect(outcomeOf(timeline("failed", [failed]))).toBe("Given up after 1 attempt: Timeout.");
  });

  it("tells of the last replay, from when it was asked for", () => {
    const again = [
      entry("replay", 5000, { key: "run/1", parent: null, run: 1 }),
      entry("applied", 5009, { run: 1, parent: "run/1" }),
    ];
    expect(outcomeOf(timeline("processed", [...done, ...again]))).toMatch(
      /^Replay 1 was applied once, 9.0 ms after it was asked for/,
    );
  });
});
