import { expect, test } from "vitest";
import { Exact } from "@/lib/json";
import { fromCondition, readValue, toCondition, writeValue } from "./builder";

const SIMPLE = [
  true,
  { ">": [{ var: "amount" }, 1000] },
  { "==": [{ var: "country" }, "BR"] },
  { "==": [{ var: "code" }, "12"] },
  { "!=": [{ var: "a" }, null] },
  { "==": [{ var: "a" }, ""] },
  { "==": [{ var: "a" }, " true "] },
  { in: [{ var: "country" }, ["BR", "12", 12, "a, b", 'say "no"']] },
  { in: ["vip", { var: "tags" }] },
  { "==": [{ var: "id" }, new Exact("9007199254740993")] },
  { "!": { var: "card.country" } },
  { and: [{ ">": [{ var: "amount" }, 1.5] }, { "!!": { var: "event.subject" } }] },
  { or: [{ starts_with: [{ var: "name" }, "Ä"] }, { "==": [{ var: "x" }, false] }] },
];

test.each(SIMPLE.map((each) => [JSON.stringify(each), each]))(
  "the builder gives back what it took: %s",
  (_, condition) => {
    const simple = fromCondition(condition);
    expect(simple).not.toBeNull();
    if (simple) expect(toCondition(simple)).toEqual(condition);
  },
);

test.each([
  [
    "a nested group",
    { and: [{ or: [{ "!": { var: "a" } }, { "!": { var: "b" } }] }, { "!": { var: "c" } }] },
  ],
  ["a default", { ">": [{ var: ["a", 1] }, 2] }],
  ["two fields", { ">": [{ var: "a" }, { var: "b" }] }],
  ["arithmetic", { ">": [{ "+": [{ var: "a" }, 1] }, 2] }],
  ["between", { "<": [1, { var: "a" }, 5] }],
  ["false", false],
  ["an unknown operator", { contains: [{ var: "a" }, "b"] }],
  ["a list of an object", { in: [{ var: "a" }, [{ var: "b" }]] }],
  ["nothing at all", null],
])("what it cannot show whole it does not show: %s", (_, condition) => {
  expect(fromCondition(condition)).toBeNull();
});

test("a value's kind is told by how it is written", () => {
  expect(["12", "-1.5e3", "true", "null", '"12"', "012", "BR", " "].map(readValue)).toEqual([
    12,
    new Exact("-1.5e3"),
    true,
    null,
    "12",
    "012",
    "BR",
    " ",
  ]);
  expect(["12", "BR", " x", ""].map(writeValue)).toEqual(['"12"', "BR", '" x"', '""']);
});
