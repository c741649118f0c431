import { expect, it } from "vitest";
import { Problem } from "@/lib/api";
import { requireKnown } from "./known";

it("refuses a choice that does not exist rather than leaving the filter out", () => {
  const choices = { stage: ["relay", "consumer"] };
  expect(() => requireKnown({ stage: "zzz" }, choices)).toThrow(Problem);
  expect(() => requireKnown({ stage: "relay", other: "x" }, choices)).not.toThrow();
  expect(() => requireKnown({}, choices)).not.toThrow();
});
