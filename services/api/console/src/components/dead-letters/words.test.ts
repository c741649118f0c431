import { describe, expect, it } from "vitest";
import { countedAs, endingAfter, filterOf, isEmpty, searchOf, withoutContradiction } from "./words";

const preview = (matched: number, meant: number) => ({
  matched,
  by_stage: { relay: 0, delivery: meant },
  by_error_class: {},
});

describe("what a bulk request says beforehand", () => {
  it("names all that match, or how many of them the limit lets through", () => {
    expect(countedAs(preview(0, 0))).toBe("No open dead letter matches.");
    expect(countedAs(preview(1, 1))).toBe("1 open dead letter matches.");
    expect(countedAs(preview(1_234, 1_234))).toBe("1,234 open dead letters match.");
    expect(countedAs(preview(12_000, 10_000))).toContain("10,000 of 12,000");
  });

  it("takes the whole filter of the address but its state and drawer", () => {
    const filter = filterOf({
      stage: "delivery",
      destination: "email",
      state: "open",
      letter: "x",
    });
    expect(filter).toMatchObject({ stage: "delivery", destination: "email", topic: null });
    expect(isEmpty(filter)).toBe(false);
  });

  it("ends at the newest that was looked at, or earlier when the filter says so", () => {
    const newest = "2026-11-22T10:00:00.123456Z";
    const end = "2026-11-22T10:00:00.124Z";
    expect(endingAfter(filterOf({}), newest).created_before).toBe(end);
    const earlier = "2026-11-22T10:00:00.1236Z";
    expect(endingAfter(filterOf({ created_before: earlier }), newest).created_before).toBe(earlier);
    const later = "2026-12-01T00:00:00Z";
    expect(endingAfter(filterOf({ created_before: later }), newest).created_before).toBe(end);
  });

  it("means a group without an event type by a filter of its own, never together with a type", () => {
    const group = { stage: "consumer", error_class: "NoEventId", event_type: null };
    const moments = { count: 2, oldest_at: "", newest_at: "" };
    const search = searchOf({ ...group, ...moments });
    expect(filterOf(search)).toMatchObject({ untyped: true, event_type: null });
    expect(isEmpty(filterOf({ untyped: "false" }))).toBe(false);
    expect(filterOf({ ...search, ...withoutContradiction({ event_type: "t" }) })).toMatchObject({
      untyped: null,
      event_type: "t",
    });
    expect(withoutContradiction({ untyped: "true" })).toMatchObject({ event_type: undefined });
    expect(withoutContradiction({ stage: "relay" })).toEqual({ stage: "relay" });
  });

  it("calls an address without filters empty, so that all must be meant on purpose", () => {
    expect(isEmpty(filterOf({ state: "open", stage: "nonsense" }))).toBe(true);
  });
});
