import { expect, it } from "vitest";
import { tally } from "./tally";
import { STEPS } from "./words";

it("results are counted with what wants a look first, and none is invented", () => {
  const rows = (["identical", "diverged", "identical"] as const).map((verdict) => ({ verdict }));
  expect(tally(rows)).toEqual([
    ["diverged", 1],
    ["identical", 2],
  ]);
  expect(tally([])).toEqual([]);
});

it("a job that is over offers no step", () => {
  expect([STEPS.done, STEPS.cancelled, STEPS.failed]).toEqual([{}, {}, {}]);
});
