import { describe, expect, it } from "vitest";
import { countNewer, mergeRows, type Pages, pagesToAsk, type Row } from "./merge";

const row = (id: string, state = "pending"): Row => ({ id, state });
const pages = (...ids: string[][]): Pages<Row> => ({
  pages: ids.map((page, at) => ({ rows: page.map((id) => row(id)), next: `c${at}` })),
  pageParams: ids.map((_, at) => (at === 0 ? undefined : `c${at - 1}`)),
});

describe("rows that change while they are shown", () => {
  it("asks the first page and at most two others that hold a change", () => {
    const data = pages(["9"], ["8"], ["7"], ["6"]);
    expect(pagesToAsk(data, new Set())).toEqual({ places: [0], left: [] });
    expect(pagesToAsk(data, new Set(["7"]))).toEqual({ places: [0, 2], left: [] });
    expect(pagesToAsk(data, new Set(["8", "7", "6"]))).toEqual({ places: [0, 1, 2], left: [3] });
  });

  it("asks up to five pages when something was missed, and the others in the next round", () => {
    const data = pages(["9"], ["8"], ["7"], ["6"], ["5"], ["4"]);
    const first = pagesToAsk(data, new Set(), new Set([0, 1, 2, 3, 4, 5]));
    expect(first).toEqual({ places: [0, 1, 2, 3, 4], left: [5] });
    expect(pagesToAsk(data, new Set(), new Set(first.left)).places).toEqual([0, 5]);
  });

  it("keeps every row in its place and takes the answer of the api over the hint", () => {
    const merged = mergeRows(
      pages(["9", "8"], ["7"]),
      new Map([["9", row("9", "confirmed")]]),
      new Map([
        ["9", "sending"],
        ["7", "failed"],
      ]),
    );
    expect(merged.pages.flatMap((page) => page.rows)).toEqual([
      row("9", "confirmed"),
      row("8"),
      row("7", "failed"),
    ]);
  });

  it("counts what is newer without showing it", () => {
    const first = { rows: [row("c"), row("b"), row("a")], next: null };
    expect(countNewer(pages(["b", "a"]), first)).toBe(1);
    expect(countNewer(pages([]), first)).toBe(3);
  });
});
