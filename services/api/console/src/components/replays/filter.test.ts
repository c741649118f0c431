import { describe, expect, it } from "vitest";
import { fromInput, toInput } from "@/lib/time";
import { narrows, readFilter } from "./filter";

describe("an events list's address as a replay's filter", () => {
  it("keeps what the api can narrow by", () => {
    const search = { type: "payment.failed", status: "failed", q: "shop", external_id: "7" };
    const { filter, unusable } = readFilter(search);
    expect([filter, unusable]).toEqual([expect.objectContaining(search), []]);
  });

  it("never drops a condition in silence", () => {
    const { unusable } = readFilter({ q: "abc", status: "processing" });
    expect(unusable.map(({ name }) => name)).toEqual(["status"]);
  });

  it("knows when it names every event", () => {
    expect(narrows(readFilter({}).filter)).toBe(false);
    expect(narrows(readFilter({ source: "api" }).filter)).toBe(true);
  });
});

describe("a moment in an input", () => {
  it("comes back as it was, with its microseconds, when nobody touched it", () => {
    const moment = "2026-11-22T16:37:58.850123Z";
    expect(toInput(moment, "utc")).toBe("2026-11-22T16:37:58.850");
    expect(fromInput(toInput(moment, "utc"), "utc", moment)).toBe(moment);
  });

  it("is read on the clock that was chosen", () => {
    expect(fromInput("2026-11-22T10:00:00", "utc")).toBe("2026-11-22T10:00:00.000Z");
    expect(fromInput(toInput("2026-11-22T10:00:00Z", "local"), "local")).toBe(
      "2026-11-22T10:00:00.000Z",
    );
  });

  it("that cannot be read is none", () => {
    expect([toInput("soon", "utc"), fromInput("", "utc")]).toEqual(["", ""]);
  });
});
