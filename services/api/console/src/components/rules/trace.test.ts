import { expect, test } from "vitest";
import { gave, traceTree, written } from "./trace";

const CONDITION = {
  or: [{ ">": [{ var: "a" }, 1] }, { in: [{ var: "b" }, [{ var: "c" }, "x"]] }],
};
const step = (pointer: string, value: unknown, round: number | null = null) => ({
  pointer,
  expression: null,
  value,
  error: null,
  round,
});

test("a part that was never looked at is told apart from one that was false", () => {
  const [root] = traceTree(CONDITION, [step("/or/0/>/0", 5), step("/or/0", true), step("", true)]);
  expect(root && gave(root)).toBe("true");
  expect(root?.children.map(gave)).toEqual(["true", "not looked at"]);
  expect(root?.children[1]?.children.map((child) => child.pointer)).toEqual([
    "/or/1/in/0",
    "/or/1/in/1/0",
  ]);
});

test("the rounds of a loop stand together", () => {
  const steps = [1, 2, 3, 4, 5, 6, 7].map((round) => step("/some/1", round > 5, round));
  const [root] = traceTree({ some: [{ var: "l" }, { ">": [{ var: "" }, 5] }] }, steps);
  expect(root?.children[1] && gave(root.children[1])).toBe(
    "false, false, false, false, false and 2 more rounds",
  );
});

test("an operator with a slash has an escaped pointer", () => {
  const [root] = traceTree({ "/": [{ var: "a" }, 2] }, [step("/~1/0", 4)]);
  expect(root?.children.map(gave)).toEqual(["4"]);
});

test("a condition is written as people write it", () => {
  expect(written(CONDITION)).toBe('(a > 1) or (b in [c, "x"])');
  expect(written({ "!": { var: "a.b" } })).toBe("not a.b");
  expect(written({ if: [{ var: ["a", 2] }, true, false] })).toBe("if(a (or 2), true, false)");
  expect(written(true)).toBe("true");
});
