import { describe, expect, it } from "vitest";
import { lacksTest } from "./PublishConfirm";

const tested = (outcome: "matched" | "not_matched" | "failed") =>
  ({ result: { test: { outcome } }, stale: false, error: null }) as Parameters<typeof lacksTest>[0];

describe("a draft counts as tested", () => {
  it("once it ran on an event, whatever it said of it", () => {
    expect(lacksTest(tested("matched"))).toBeNull();
    expect(lacksTest(tested("not_matched"))).toBeNull();
  });

  it("not while the result is of an earlier text, missing or a failure", () => {
    expect(lacksTest({ ...tested("matched"), stale: true })).not.toBeNull();
    expect(lacksTest({ ...tested("matched"), error: new Error("away") as never })).not.toBeNull();
    expect(lacksTest({ result: undefined, stale: false, error: null })).not.toBeNull();
    expect(lacksTest(tested("failed"))).not.toBeNull();
  });
});
