import { expect, it } from "vitest";
import { partsOf, totalOf } from "./phases";

const NONE = { dns_ms: null, connect_ms: null, tls_ms: null, first_byte_ms: null, total_ms: null };

it("shows only the parts that happened, and what is left of the whole", () => {
  const parts = partsOf({ ...NONE, connect_ms: 4, first_byte_ms: 3, total_ms: 10 });
  expect(parts.map(({ name, ms }) => [name, ms])).toEqual([
    ["connect", 4],
    ["first byte", 3],
    ["rest", 3],
  ]);
});

it("has nothing to show of an attempt that never began", () => {
  expect(partsOf(NONE)).toEqual([]);
  expect(totalOf(NONE)).toBe(0);
});
