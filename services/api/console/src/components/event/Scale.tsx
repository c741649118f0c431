import { memo } from "react";
import { duration } from "@/lib/time";
import { type Axis, type Piece, type Tick, ticks } from "./squeeze";

const HEAD_PIXELS = 40;
const LABEL_PIXELS = 46;
/** Of a thousand waits, each is less than a pixel wide: their shade is enough. */
const BREAK_PIXELS_MIN = 8;
const CHARACTER_PIXELS = 5.2;

/** Above the rows: how long after the first entry, and how long the stretches are that were cut. */
export const ScaleHead = memo(function ScaleHead({ axis }: { axis: Axis }) {
  const cuts = axis.pieces.filter(
    ({ kind, x0, x1 }) => kind !== "scale" && x1 - x0 >= BREAK_PIXELS_MIN,
  );
  return (
    <svg
      aria-hidden="true"
      width={axis.width}
      height={HEAD_PIXELS}
      className="block overflow-visible"
    >
      {ticks(axis).map((tick) => (
        <g key={tick.at}>
          <path d={`M${tick.x} ${HEAD_PIXELS - 5}v5`} stroke="var(--edge)" />
          <text
            {...anchorOf(tick, axis)}
            y={HEAD_PIXELS - 9}
            className="tabular fill-soft text-[11px]"
          >
            {labelOf(tick)}
          </text>
        </g>
      ))}
      {cuts.map((piece) => (
        <Break key={piece.start} piece={piece} />
      ))}
    </svg>
  );
});

function Break({ piece }: { piece: Piece }) {
  const middle = (piece.x0 + piece.x1) / 2;
  const words = `~ ${coarse(piece.end - piece.start)}`;
  return (
    <g>
      {piece.x1 - piece.x0 >= words.length * CHARACTER_PIXELS && (
        <text x={middle} y={11} textAnchor="middle" className="tabular fill-soft text-[10px]">
          {words}
        </text>
      )}
      <path
        d={`M${middle - 4} ${HEAD_PIXELS}l3-8M${middle + 1} ${HEAD_PIXELS}l3-8`}
        stroke="var(--edge)"
        strokeWidth={1.5}
      />
    </g>
  );
}

/** Behind the rows: lines down from the labels, and a shade where time was cut. */
export const ScaleGround = memo(function ScaleGround({ axis }: { axis: Axis }) {
  return (
    <svg
      aria-hidden="true"
      width={axis.width}
      height="100%"
      className="absolute inset-y-0 block overflow-visible"
    >
      {ticks(axis).map(({ at, x }) => (
        <line key={at} x1={x} x2={x} y1="0" y2="100%" stroke="var(--line)" />
      ))}
      {axis.pieces.map((piece) =>
        piece.kind === "scale" ? null : (
          <rect
            key={piece.start}
            x={piece.x0}
            width={piece.x1 - piece.x0}
            y="0"
            height="100%"
            fill="var(--sunken)"
            opacity={piece.kind === "idle" ? 1 : 0.6}
          />
        ),
      )}
    </svg>
  );
});

function labelOf({ at, after }: Tick): string {
  if (after !== null) return `… +${duration(after)}`;
  return at === 0 ? "0" : `+${duration(at)}`;
}

/** The last label ends where the axis does. */
function anchorOf({ x }: Tick, axis: Axis): { x: number; textAnchor?: "end" } {
  return x > axis.width - LABEL_PIXELS * 1.5 ? { x: axis.width, textAnchor: "end" } : { x };
}

const UNITS: [number, string][] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
];

/** Short enough for the gap that it is written over; the exact times stand with each step. */
function coarse(ms: number): string {
  const unit = UNITS.find(([size]) => ms >= size);
  return unit ? `${Math.round(ms / unit[0])} ${unit[1]}` : duration(ms);
}
