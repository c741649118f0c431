import { expect, it } from "vitest";
import { forecastOf, type Tested } from "./forecast";

const tested = (outcome: "matched" | "not_matched" | "failed", ...keys: string[]): Tested => ({
  rule_id: "r",
  name: "Rule",
  version: 1,
  test: {
    version: 1,
    outcome,
    matched: outcome === "matched",
    type_matches: true,
    error: null,
    why: "",
    value: null,
    trace: [],
    trace_cut_off: false,
    actions: keys.map((key) => ({
      key,
      type: key === "log" ? ("log" as const) : ("call_webhook" as const),
      params: { url: "https://example.com" },
    })),
    missing: [],
    engine: "datalogic",
    engine_version: "1",
    duration_us: 1,
    rule_id: "r",
    event_id: "e",
    event_type: "t",
    compared_with: null,
  },
});
const existing = [
  {
    rule_id: "r",
    rule_name: "Rule",
    event_type: "t",
    action_key: "old",
    kind: "webhook",
    destination: "https://example.com",
    deliveries: 1,
  },
];
const fates = (effects: "dedupe" | "force" | "none") =>
  forecastOf([tested("matched", "old", "new", "log")], existing, effects).acts.map(
    ({ fate }) => fate,
  );

it("tells what is sent, what is sent again and what is not, and leaves out what sends nothing", () => {
  expect(fates("dedupe")).toEqual(["not again", "sent"]);
  expect(fates("force")).toEqual(["again", "sent"]);
  expect(fates("none")).toEqual(["not sent", "not sent"]);
});

it("counts a rule that cannot be evaluated apart from one that does not match", () => {
  const forecast = forecastOf([tested("failed"), tested("not_matched", "x")], [], "dedupe");
  expect(forecast).toMatchObject({ acts: [], matching: 0, looking: 2 });
  expect(forecast.failing).toHaveLength(1);
});
