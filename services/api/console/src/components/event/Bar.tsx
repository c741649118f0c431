import { type Entry, numberOf, type Step } from "./entries";
import { colourOf } from "./looks";
import type { Axis } from "./squeeze";

export const ROW_PIXELS = 30;
const MIDDLE = ROW_PIXELS / 2;
const BAR_PIXELS_MIN = 4;
const PHASES_PIXELS_MIN = 24;

export const PHASES = [
  ["dns_ms", "DNS", 0.35],
  ["connect_ms", "Connect", 0.5],
  ["tls_ms", "TLS", 0.65],
  ["first_byte_ms", "First byte", 0.85],
] as const;

/** The phases of an attempt that were measured, one after the other, and what is left of it. */
export function phasesOf(entry: Entry): { title: string; ms: number; opacity: number }[] {
  if (entry.kind !== "delivery_attempt") return [];
  const found = PHASES.flatMap(([name, title, opacity]) => {
    const ms = numberOf(entry, name);
    return ms === null ? [] : [{ title, ms, opacity }];
  });
  const rest = (entry.duration_ms ?? 0) - found.reduce((all, { ms }) => all + ms, 0);
  return found.length > 0 && rest > 0 ? [...found, { title: "Rest", ms: rest, opacity: 1 }] : found;
}

/** One step on the time axis: a bar, a mark for a moment, a thin line for what spans others. */
export function Bar({ step, axis, from }: { step: Step; axis: Axis; from?: number }) {
  const x = axis.x(step.start);
  const width = Math.max(BAR_PIXELS_MIN, axis.x(step.end) - x);
  const left = Math.min(x, axis.width - BAR_PIXELS_MIN);
  return (
    <svg
      aria-hidden="true"
      width={axis.width}
      height={ROW_PIXELS}
      className="block overflow-visible"
    >
      {from !== undefined && <Linked from={axis.x(from)} to={left} />}
      <Shape step={step} x={left} width={width} />
    </svg>
  );
}

function Shape({ step, x, width }: { step: Step; x: number; width: number }) {
  const { entry } = step;
  const colour = colourOf(entry.outcome);
  if (step.envelope) return <Envelope x={x} width={width} colour={colour} open={step.open} />;
  if (entry.outcome === "waiting") {
    return (
      <circle
        cx={x}
        cy={MIDDLE}
        r={4.5}
        fill="var(--card)"
        stroke={colour}
        strokeDasharray="2 2"
        strokeWidth={1.5}
      />
    );
  }
  if (step.start === step.end) {
    return <path d={`M${x} ${MIDDLE - 5}l5 5-5 5-5-5z`} fill={colour} />;
  }
  const phases = width >= PHASES_PIXELS_MIN ? phasesOf(entry) : [];
  const total = phases.reduce((all, { ms }) => all + ms, 0);
  let at = x;
  return (
    <>
      <rect
        x={x}
        y={MIDDLE - 6}
        width={width}
        height={12}
        rx={2}
        fill={phases.length > 0 ? "var(--card)" : colour}
      />
      {phases.map(({ title, ms, opacity }) => {
        const part = (width * ms) / total;
        at += part;
        return (
          <rect
            key={title}
            x={at - part}
            y={MIDDLE - 6}
            width={part}
            height={12}
            fill={colour}
            opacity={opacity}
          />
        );
      })}
    </>
  );
}

function Envelope({
  x,
  width,
  colour,
  open,
}: {
  x: number;
  width: number;
  colour: string;
  open: boolean;
}) {
  const end = x + width;
  return (
    <g stroke={colour} strokeWidth={2} fill="none">
      <path d={`M${x} ${MIDDLE}H${end}`} strokeDasharray={open ? "4 3" : undefined} />
      <path d={`M${x} ${MIDDLE - 5}v10`} />
      {!open && <path d={`M${end} ${MIDDLE - 5}v10`} />}
    </g>
  );
}

/** A replay is tied to the run before it. */
function Linked({ from, to }: { from: number; to: number }) {
  return (
    <path
      d={`M${from} 0V${MIDDLE}H${Math.max(from, to - 7)}`}
      fill="none"
      stroke="var(--edge)"
      strokeDasharray="1 3"
      strokeWidth={1.5}
    />
  );
}
