import { describe, expect, it } from "vitest";
import { squeeze, ticks } from "./squeeze";

const widthOf = (axis: ReturnType<typeof squeeze>, start: number, end: number) =>
  axis.x(end) - axis.x(start);

describe("the squeezed axis", () => {
  it("leaves a short history to scale", () => {
    const axis = squeeze(
      [
        { start: 0, end: 8 },
        { start: 11, end: 12 },
      ],
      600,
    );
    expect(axis.pieces.map(({ kind }) => kind)).toEqual(["scale"]);
    expect(axis.x(6)).toBeCloseTo(300);
  });

  it("cuts the wait before a retry short and keeps what ran on one scale", () => {
    const axis = squeeze(
      [
        { start: 0, end: 30 },
        { start: 5900, end: 5910 },
      ],
      600,
    );
    expect(axis.pieces.map(({ kind }) => kind)).toEqual(["scale", "idle", "scale"]);
    expect(widthOf(axis, 0, 10)).toBeCloseTo(widthOf(axis, 5900, 5910));
    expect(axis.x(5910)).toBeCloseTo(600);
  });

  it("cuts many equal waits, between which no single one stands out", () => {
    const spans = Array.from({ length: 40 }, (_, n) => ({
      start: n * 60_000,
      end: n * 60_000 + 5,
    }));
    const axis = squeeze(spans, 600);
    const idle = axis.pieces.filter(({ kind }) => kind === "idle");
    expect(idle).toHaveLength(39);
    expect(widthOf(axis, 0, 5)).toBeCloseTo((600 * 0.35) / 40);
  });

  it("cuts a bar in whose middle nothing begins or ends", () => {
    const axis = squeeze(
      [
        { start: 0, end: 12 },
        { start: 5, end: 1300 },
        { start: 20, end: 34 },
      ],
      600,
    );
    expect(axis.pieces.map(({ kind }) => kind)).toEqual(["scale", "long"]);
    expect(widthOf(axis, 0, 34)).toBeGreaterThan(400);
  });

  it("cuts every one of several long waits for an answer", () => {
    const spans = [0, 30_000].flatMap((at) => [
      { start: at, end: at + 12 },
      { start: at + 5, end: at + 1200 },
    ]);
    const kinds = squeeze(spans, 600).pieces.map(({ kind }) => kind);
    expect(kinds).toEqual(["scale", "long", "idle", "scale", "long"]);
  });

  it("does not cut the only bar that there is", () => {
    expect(squeeze([{ start: 0, end: 9000 }], 600).pieces[0]?.kind).toBe("scale");
  });

  it("keeps the order of time and stays within the width", () => {
    const spans = [0, 1, 2, 900, 901, 90_000, 9_000_000].map((start) => ({
      start,
      end: start + 2,
    }));
    const axis = squeeze(spans, 400);
    const places = spans.map(({ start }) => axis.x(start));
    expect(places).toEqual([...places].sort((one, other) => one - other));
    expect(Math.max(...places)).toBeLessThanOrEqual(400);
  });

  it("has a place for moments when nothing takes any time, and for nothing at all", () => {
    expect(squeeze([{ start: 5, end: 5 }], 400).x(5)).toBe(0);
    const axis = squeeze(
      [
        { start: 0, end: 0 },
        { start: 86_400_000, end: 86_400_000 },
      ],
      400,
    );
    expect(Number.isFinite(axis.x(86_400_000))).toBe(true);
  });

  it("labels the axis without one label over another", () => {
    const axis = squeeze(
      [
        { start: 0, end: 30 },
        { start: 5900, end: 5902 },
      ],
      600,
    );
    const places = ticks(axis).map(({ x }) => x);
    expect(places[0]).toBe(0);
    const apart = places.slice(1).map((x, place) => x - (places[place] ?? 0));
    expect(Math.min(...apart)).toBeGreaterThan(50);
  });
});
