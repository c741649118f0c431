import { describe, expect, it } from "vitest";
import { bodyOf, needsConfirm, type Plan } from "./plan";

const quiet: Plan = {
  knobs: {},
  eventType: "",
  percent: "100",
  firstN: "",
  maxHits: "",
  ttl: "30",
  confirm: false,
};

describe("a plan of faults", () => {
  it("sends numbers for the knobs that count and words for the others", () => {
    const plan = { ...quiet, knobs: { successOnAttempt: "3", breakBroker: "after_ack" } };
    expect(bodyOf(plan)).toEqual({ ttl_s: 30, successOnAttempt: 3, breakBroker: "after_ack" });
  });

  it("sends a match only where it narrows something", () => {
    expect(bodyOf({ ...quiet, percent: "25", firstN: "3" }).match).toEqual({
      percent: 25,
      first_n: 3,
    });
    expect(bodyOf(quiet).match).toBeUndefined();
  });

  it("wants a confirmation when a whole service may be ended, and not when it is narrowed", () => {
    const plan = { ...quiet, knobs: { breakConsumer: "exit@consumer.before_commit" } };
    expect(needsConfirm(plan)).toBe(true);
    expect(needsConfirm({ ...plan, percent: "10" })).toBe(false);
    expect(bodyOf({ ...plan, confirm: true }).confirm).toBe(true);
    expect(bodyOf({ ...quiet, confirm: true }).confirm).toBeUndefined();
  });
});
