import { describe, expect, it } from "vitest";
import { countedAs, filterOf, isEmpty } from "./words";

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

  it("calls an address without filters empty, so that all must be meant on purpose", () => {
    expect(isEmpty(filterOf({ state: "open", stage: "nonsense" }))).toBe(true);
  });
});
