import { describe, expect, it } from "vitest";
import { Problem } from "@/lib/api";
import {
  bodyOf,
  changesOf,
  draftOf,
  errorAt,
  NEW,
  patchOf,
  readHeaders,
  type Target,
} from "./form";
import { sample } from "./sample";

const target: Target = { ...sample, header_names: ["X-Tenant"] };

describe("the form of a target", () => {
  it("reads one header a line and names the line that is none", () => {
    expect(readHeaders("X-A: b: c\n\n Y:  d ")).toEqual({ "X-A": "b: c", Y: "d" });
    expect(() => readHeaders("X-A: b\nnonsense")).toThrow(Problem);
  });

  it("leaves out of a patch what was not touched, so that headers stay", () => {
    expect(patchOf(draftOf(target), target)).toEqual({});
    expect(patchOf({ ...draftOf(target), rate: "2.5" }, target)).toEqual({ rate_per_second: 2.5 });
    expect(patchOf({ ...draftOf(target), headers: "" }, target)).toEqual({ headers: {} });
  });

  it("says what somebody else changed meanwhile", () => {
    const now = { ...target, revision: 2, url: "https://example.com/b", rate_per_second: 5 };
    expect(changesOf(target, target)).toEqual([]);
    expect(changesOf(target, now)).toEqual([
      "URL: was https://example.com/hooks, is https://example.com/b",
      "Most per second: was no limit, is 5",
    ]);
    expect(changesOf(target, { ...target, revision: 2 })).toHaveLength(1);
  });

  it("makes no secret of its own: an empty field lets the api make one", () => {
    expect(bodyOf({ ...NEW, name: "a" }).secret).toBeNull();
  });

  it("shows what is wrong inside a member at the member", () => {
    const problem = new Problem(422, "invalid-request", "", "", [
      { pointer: "/headers/Host", detail: "is set by us" },
      { pointer: "/url", detail: "is private" },
    ]);
    expect(errorAt(problem, "headers")).toBe("Host: is set by us");
    expect(errorAt(problem, "name")).toBeUndefined();
  });
});
