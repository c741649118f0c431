import { expect, test } from "vitest";
import { flawsOf, marksOf, rangeOf } from "./tree";

const TEXT = `{
  "and": [
    {">": [{"var": "amount"}, 1000]},
    {"a/b~c": "é"}
  ]
}`;
const at = (pointer: string) => {
  const { from, to, exact } = rangeOf(TEXT, pointer);
  return [TEXT.slice(from, to), exact];
};

test("a pointer leads to the very value", () => {
  expect(at("/and/0/>/1")).toEqual(["1000", true]);
  expect(at("/and/0/>/0/var")).toEqual(['"amount"', true]);
});

test("an operator stands for its whole object", () => {
  expect(at("/and/0")).toEqual(['">"', true]);
  expect(at("")).toEqual(['"and"', true]);
});

test("a name with a slash or a tilde is found by its escaped pointer", () => {
  expect(at("/and/1/a~1b~0c")).toEqual(['"é"', true]);
});

test("what is missing is marked at what it would stand in", () => {
  expect(at("/and/1/nothing/here")).toEqual(["{", false]);
  expect(at("/and/9")).toEqual(["[", false]);
  expect(at("/and/-1")).toEqual(["[", false]);
});

test("of a name that is there twice the last counts, as for JSON.parse", () => {
  const twice = '{"a": 1, "a": 2}';
  const { from, to } = rangeOf(twice, "/a");
  expect(twice.slice(from, to)).toBe("2");
});

test("a text that is no JSON still has a range", () => {
  expect(rangeOf("", "/a/b")).toEqual({ from: 0, to: 0, exact: false });
  expect(rangeOf('{"a": [1, ', "/a/0")).toEqual({ from: 7, to: 8, exact: true });
});

test("a flaw of the syntax, and a doubled name are told, and a long number is none", () => {
  expect(flawsOf('{"a": 1}')).toEqual([]);
  expect(flawsOf('{"a": }')[0]?.line).toBe(1);
  expect(flawsOf("")).toHaveLength(1);
  expect(flawsOf('{"a": 1,\n "a": 2}')).toMatchObject([
    { line: 2, message: expect.stringContaining("twice") },
  ]);
  expect(flawsOf("9007199254740993")).toEqual([]);
});

test("a mark says its line", () => {
  expect(marksOf(TEXT, [{ pointer: "/and/1", message: "no" }])[0]?.line).toBe(4);
});
