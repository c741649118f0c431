import { expect, it } from "vitest";
import { parse } from "@/lib/json";
import { differencesOf } from "./differences";

it("names each place that changed, came or went", () => {
  const { found } = differencesOf(
    { amount: 1, items: [1, 2], gone: null, same: { a: 1 } },
    { amount: 2, items: [1, 3, 4], same: { a: 1 }, "a/b": true },
  );
  expect(found).toEqual([
    { pointer: "/amount", before: 1, after: 2 },
    { pointer: "/items/1", before: 2, after: 3 },
    { pointer: "/items/2", before: undefined, after: 4 },
    { pointer: "/gone", before: null, after: undefined },
    { pointer: "/a~1b", before: undefined, after: true },
  ]);
});

it("shows a value of another kind whole, and bounds what it finds", () => {
  expect(differencesOf({ a: [1] }, { a: { 0: 1 } }).found).toHaveLength(1);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`m${n}`, n]));
  expect(differencesOf({}, many)).toMatchObject({ more: true });
});

it("tells numbers apart that are one to the browser, and finds none where both are written alike", () => {
  const first = parse('{"id": 9007199254740993, "rate": 1.0}');
  const other = parse('{"id": 9007199254740992, "rate": 1.0}');
  expect(differencesOf(first, other).found.map(({ pointer }) => pointer)).toEqual(["/id"]);
});
