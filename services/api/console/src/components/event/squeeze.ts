export type Span = { start: number; end: number };
/** A stretch of time on the axis. What is not to scale is idle (nothing ran) or long (something did). */
export type Piece = Span & { kind: "scale" | "idle" | "long"; x0: number; x1: number };
export type Axis = { pieces: Piece[]; width: number; x: (moment: number) => number };

const IDLE_MS_MIN = 50;
const LONG_MS_MIN = 250;
/** A quiet stretch inside a bar is cut where it is longer than this many times all much shorter ones. */
const LONG_SHARE = 2;
const MUCH_SHORTER = 4;
const IDLE_SHARE = 0.5;
const IDLE_PIXELS = 60;
const LONG_PIXELS = 104;
/** What is not to scale never takes more than this share of the width. */
const SQUEEZED_SHARE = 0.65;

/**
 * An axis that shows milliseconds and hours in one picture: stretches in which nothing begins or
 * ends are cut short and marked; all others share one scale.
 */
export function squeeze(spans: Span[], width: number): Axis {
  const pieces = stretches(spans);
  cutLong(pieces);
  cutIdle(pieces);
  return lay(merge(pieces), width);
}

/** The time between any two moments at which something begins or ends; busy: something runs. */
function stretches(spans: Span[]): Piece[] {
  const moments = [...new Set(spans.flatMap(({ start, end }) => [start, end]))];
  moments.sort((one, other) => one - other);
  const running = [...spans].filter(({ start, end }) => end > start);
  running.sort((one, other) => one.start - other.start);
  const pieces: Piece[] = [];
  let next = 0;
  let busyUntil = Number.NEGATIVE_INFINITY;
  for (let place = 0; place + 1 < moments.length; place++) {
    const [start = 0, end = 0] = [moments[place], moments[place + 1]];
    for (; next < running.length; next++) {
      const span = running[next];
      if (span === undefined || span.start > start) break;
      busyUntil = Math.max(busyUntil, span.end);
    }
    // Which of the idle ones are worth cutting is only known when all are there (cutIdle).
    pieces.push({ start, end, kind: busyUntil > start ? "scale" : "idle", x0: 0, x1: 0 });
  }
  return pieces;
}

/** A stretch is long where it would leave no room for those that are much shorter than it. */
function cutLong(pieces: Piece[]): void {
  const busy = pieces.filter(({ kind }) => kind === "scale");
  busy.sort((one, other) => length(one) - length(other));
  let shorter = 0;
  let next = 0;
  for (const piece of busy) {
    for (; length(busy[next] ?? piece) < length(piece) / MUCH_SHORTER; next++) {
      shorter += length(busy[next] ?? piece);
    }
    const isLong = length(piece) >= LONG_MS_MIN && length(piece) > shorter * LONG_SHARE;
    if (isLong && shorter > 0) piece.kind = "long";
  }
}

/** What is short beside the time in which something ran stays to scale. */
function cutIdle(pieces: Piece[]): void {
  const busy = sum(pieces.filter(({ kind }) => kind === "scale"));
  const least = Math.max(IDLE_MS_MIN, busy * IDLE_SHARE);
  for (const piece of pieces) {
    if (piece.kind === "idle" && length(piece) < least) piece.kind = "scale";
  }
}

function merge(pieces: Piece[]): Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last && last.kind === piece.kind) last.end = piece.end;
    else merged.push({ ...piece });
  }
  return merged;
}

function lay(pieces: Piece[], width: number): Axis {
  const wanted = pieces.reduce((all, piece) => all + pixels(piece), 0);
  const scaled = sum(pieces.filter(({ kind }) => kind === "scale"));
  const shrink = Math.min(1, (width * (scaled > 0 ? SQUEEZED_SHARE : 1)) / Math.max(1, wanted));
  const left = width - wanted * shrink;
  let x = 0;
  for (const piece of pieces) {
    piece.x0 = x;
    x += piece.kind === "scale" ? (left * length(piece)) / scaled : pixels(piece) * shrink;
    piece.x1 = x;
  }
  return { pieces, width, x: (moment) => place(pieces, moment) };
}

function place(pieces: Piece[], moment: number): number {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moment <= (pieces[middle]?.end ?? 0)) high = middle;
    else low = middle + 1;
  }
  const piece = pieces[low];
  if (piece === undefined) return 0;
  const share = Math.min(1, Math.max(0, (moment - piece.start) / length(piece)));
  return piece.x0 + (piece.x1 - piece.x0) * share;
}

const TICK_PIXELS = 84;
const LABEL_PIXELS = 72;

/** A label of the axis. `after` is counted from the beginning of a later stretch to scale. */
export type Tick = { at: number; x: number; after: number | null };

/** Where the axis is labelled: round steps within each stretch that is to scale. */
export function ticks(axis: Axis): Tick[] {
  const found: Tick[] = [];
  const add = (tick: Tick) => {
    const before = found.at(-1)?.x ?? Number.NEGATIVE_INFINITY;
    const left = Math.min(tick.x, axis.width - LABEL_PIXELS);
    if (left - before >= LABEL_PIXELS || found.length === 0) found.push(tick);
  };
  for (const piece of axis.pieces) {
    if (piece.kind !== "scale") continue;
    add({ at: piece.start, x: piece.x0, after: null });
    const room = Math.floor((piece.x1 - piece.x0) / TICK_PIXELS);
    if (room < 2) continue;
    const step = roundStep(length(piece) / room);
    for (let after = step; after < length(piece); after += step) {
      const at = piece.start + after;
      add({ at, x: axis.x(at), after: piece.start === 0 ? null : after });
    }
  }
  return found;
}

function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5, 10].find((step) => step * power >= least) ?? 10) * power;
}

function pixels(piece: Piece): number {
  return piece.kind === "idle" ? IDLE_PIXELS : piece.kind === "long" ? LONG_PIXELS : 0;
}

function length({ start, end }: Span): number {
  return end - start;
}

function sum(spans: Span[]): number {
  return spans.reduce((all, span) => all + length(span), 0);
}
