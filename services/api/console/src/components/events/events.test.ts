import { describe, expect, it } from "vitest";
import type { News } from "@/lib/live";
import { Arrivals, type Extent, says } from "./arrivals";
import { curlOf, isToldBySocket, notReplayable, queryOf } from "./filters";
import { type EventItem, patch, reuse } from "./rows";

const item = (id: string, status = "pending"): EventItem => ({
  id,
  status,
  type: "payment.completed",
  external_id: id,
  subject: null,
  source: "api",
  received_at: "2026-11-22T10:00:00Z",
  received_count: 1,
  replay: 0,
});
const news = (
  ids: string[],
  status = "pending",
  type: string | null = "payment.completed",
): News => ({
  updates: ids.map((id) => ({ kind: "event", id, status, event_type: type })),
  omitted: [],
  gap: false,
});
const extent = (loaded: string[], isAll = false): Extent => ({
  has: (id) => loaded.includes(id),
  oldest: isAll ? null : (loaded.at(-1) ?? null),
});

describe("arrivals", () => {
  it("counts each new event once, however often it is told", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["5", "6"]), extent(["4", "3"]), undefined);
    arrivals.take(news(["6"]), extent(["4", "3"]), undefined);
    expect(arrivals.read()).toEqual({ count: 2, atLeast: false });
  });

  it("takes a change of a loaded row for a change and not for a new row", () => {
    const arrivals = new Arrivals();
    const rows = extent(["4", "3"]);
    expect(arrivals.take(news(["4"], "processed"), rows, undefined).changed).toEqual(["4"]);
    expect(arrivals.take(news(["3"]), rows, undefined).changed).toEqual(["3"]);
    expect(arrivals.read().count).toBe(0);
  });

  it("does not count the replay of an event that is older than what is loaded", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["1"]), extent(["4", "3"]), undefined);
    expect(arrivals.read().count).toBe(0);
    arrivals.take(news(["1"]), extent(["4", "3"], true), undefined);
    expect(arrivals.read().count).toBe(1);
  });

  it("counts an event that committed late and belongs between loaded rows", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["35"]), extent(["4", "3"]), undefined);
    expect(arrivals.read().count).toBe(1);
  });

  it("counts an event that is told with its last status only", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["5"], "processed"), extent(["4", "3"]), undefined);
    expect(arrivals.read().count).toBe(1);
  });

  it("leaves out other types where the list has one", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["5"], "pending", "order.paid"), extent(["4"]), "payment.completed");
    arrivals.take(news(["6"], "pending", null), extent(["4"]), "payment.completed");
    expect(arrivals.read().count).toBe(1);
  });

  it("adds what was only counted, and says many beyond what can be read", () => {
    const arrivals = new Arrivals();
    const burst = (count: number): News => ({
      updates: [],
      omitted: [
        { kind: "event", status: "pending", event_type: null, count },
        { kind: "event", status: "processed", event_type: null, count },
      ],
      gap: false,
    });
    expect(arrivals.take(burst(999), extent([]), undefined).isVague).toBe(true);
    expect(says(arrivals.read())).toBe("999 new");
    arrivals.take(burst(1), extent([]), undefined);
    expect(says(arrivals.read())).toBe("Many new");
  });

  it("keeps what arrived while the list was read again", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["5", "6"]), extent(["4"]), undefined);
    const marked = arrivals.mark();
    arrivals.take(news(["7"]), extent(["4"]), undefined);
    arrivals.settle(marked, extent(["6", "5", "4"]));
    expect(arrivals.read().count).toBe(1);
  });

  it("takes the api's word over its own count, except for what was told since it was asked", () => {
    const arrivals = new Arrivals();
    arrivals.take(news(["5", "6"]), extent(["4"]), undefined);
    const mark = arrivals.mark();
    arrivals.take(news(["7"]), extent(["4"]), undefined);
    arrivals.probe(["6"], false, mark);
    expect(says(arrivals.read())).toBe("2 new");
    arrivals.probe(["8"], true, arrivals.mark());
    expect(says(arrivals.read())).toBe("3+ new");
  });
});

describe("rows", () => {
  it("are changed where they stand, and pages without a change stay the same object", () => {
    const data = {
      pages: [
        { events: [item("4"), item("3")], next_cursor: "c" },
        { events: [item("2")], next_cursor: null },
      ],
      pageParams: [null, "c"],
    };
    const patched = patch(data, [item("3", "processed"), item("9")]);
    expect(patched.pages[0]?.events.map((each) => each.status)).toEqual(["pending", "processed"]);
    expect(patched.pages[1]).toBe(data.pages[1]);
  });

  it("keep their identity when the list is read again and nothing changed", () => {
    const known = [item("4"), item("3")];
    const page = reuse(known, {
      events: [item("5"), item("4"), item("3", "failed")],
      next_cursor: null,
    });
    expect(page.events[1]).toBe(known[0]);
    expect(page.events[2]).not.toBe(known[1]);
  });
});

describe("filters", () => {
  it("give one query whatever the order of the address", () => {
    expect(queryOf({ type: "a", status: "failed", q: "x y&z" })).toBe(
      queryOf({ q: "x y&z", status: "failed", type: "a" }),
    );
    expect(queryOf({ q: "x y&z", subject: "" })).toBe("q=x+y%26z");
  });

  it("can be judged from a live update only if they name nothing but the type", () => {
    expect(isToldBySocket({ type: "a" })).toBe(true);
    expect(isToldBySocket({ type: "a", source: "b" })).toBe(false);
    expect(isToldBySocket({ status: "failed" })).toBe(false);
  });

  it("that a bulk replay does not know are never dropped silently", () => {
    expect(notReplayable({ status: "failed", q: "ab", external_id: "b" })).toBeNull();
    expect(notReplayable({ status: "pending" })).toBe("not while pending");
  });

  it("become a cURL command that no quote breaks out of and no key stands in", () => {
    const text = curlOf({ q: "it's" }, "https://oncely.example.com", true);
    expect(text).toBe(
      `curl -sS -H "Authorization: Bearer $ONCELY_API_KEY" 'https://oncely.example.com/events?q=it%27s'`,
    );
  });
});
