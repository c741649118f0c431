import { describe, expect, it } from "vitest";
import { Problem, problemOf } from "./api";
import { compact, rate, shortId } from "./format";
import { matches } from "./live";
import { queryClient, worthAnotherTry } from "./query";
import { parseSearch, pick, stringifySearch } from "./search";
import { ago, duration } from "./time";

describe("the query string", () => {
  it("is the api's own: plain names and values, both ways", () => {
    const search = { type: "payment.*", q: "ä&b", external_id: "123" };
    expect(stringifySearch(search)).toBe("?type=payment.*&q=%C3%A4%26b&external_id=123");
    expect(parseSearch(stringifySearch(search))).toEqual(search);
  });

  it("loses what says nothing and what the route does not know", () => {
    expect(stringifySearch({ status: "", type: undefined })).toBe("");
    expect(pick(["status"])({ status: "failed", other: "x" })).toEqual({ status: "failed" });
  });
});

describe("live subscriptions", () => {
  const update = {
    kind: "event",
    id: "1",
    status: "failed",
    event_type: "payment.refused",
  } as const;

  it("match by kind, status and type, where a family ends with a star", () => {
    expect(
      matches({ kinds: ["event"], event_types: ["payment.*"], statuses: ["failed"] }, update),
    ).toBe(true);
    expect(matches({ event_types: ["payment"] }, update)).toBe(false);
    expect(matches({ kinds: ["delivery"] }, update)).toBe(false);
    expect(matches({}, update)).toBe(true);
  });

  it("take what has no type, because it may be of theirs", () => {
    expect(matches({ event_types: ["payment.*"] }, { ...update, event_type: null })).toBe(true);
  });
});

describe("times and numbers", () => {
  it("are said in the largest unit that fits", () => {
    const at = Date.parse("2026-11-22T12:00:00Z");
    expect(ago("2026-11-22T11:59:59.500Z", at)).toBe("now");
    expect(ago("2026-11-22T11:58:00Z", at)).toBe("2m ago");
    expect(ago("2026-11-22T15:00:00Z", at)).toBe("in 3h");
    expect([0.82, 4.21, 140, 1_300, 250_000, 90_000_000].map(duration)).toEqual([
      "820 µs",
      "4.2 ms",
      "140 ms",
      "1.3 s",
      "4 min 10 s",
      "1 d 1 h",
    ]);
  });

  it("stay short without hiding what is small", () => {
    expect([0, 9_999, 1_204_331].map(compact)).toEqual(["0", "9,999", "1.2M"]);
    expect([0, 0.4, 12, 1234.6].map(rate)).toEqual(["0/s", "0.4/s", "12/s", "1,235/s"]);
    expect(shortId("01a203bb-9a8b-7cde-8f01-23456789abcd")).toBe("01a203bb…abcd");
  });
});

describe("a problem", () => {
  it("keeps what the api said and where", async () => {
    const body = {
      type: "/problems/invalid-request",
      title: "Invalid request",
      detail: "see errors",
      errors: [{ pointer: "/amount", detail: "must be a whole number" }],
    };
    const problem = await problemOf(new Response(JSON.stringify(body), { status: 422 }));
    expect([problem.slug, problem.message, problem.faults[0]?.pointer]).toEqual([
      "invalid-request",
      "see errors",
      "/amount",
    ]);
  });

  it("of another kind is told by its status", async () => {
    const problem = await problemOf(new Response("<html>", { status: 502 }));
    expect(problem.title).toBe("The api answered with 502");
  });

  it("of a key that has ended has the session asked again", async () => {
    const refused = new Problem(401, "", "", "");
    const ask = (path: string, error: Problem | null) =>
      queryClient
        .fetchQuery({
          queryKey: ["get", path, {}],
          queryFn: () => {
            if (error) throw error;
            return null;
          },
        })
        .catch(() => undefined);
    await ask("/session", null);
    await ask("/events", new Problem(403, "", "", ""));
    expect(queryClient.getQueryState(["get", "/session", {}])?.isInvalidated).toBe(false);
    await ask("/rules", refused);
    expect(queryClient.getQueryState(["get", "/session", {}])?.isInvalidated).toBe(true);
    queryClient.clear();
  });

  it("is tried again only where another try may help", () => {
    expect(worthAnotherTry(0, new Problem(0, "", "", ""))).toBe(true);
    expect(worthAnotherTry(0, new Problem(422, "", "", ""))).toBe(false);
    expect(worthAnotherTry(2, new Problem(503, "", "", ""))).toBe(false);
  });
});
