import { lazy, Suspense } from "react";

const Plot = lazy(() => import("./Plot"));

export type Line = {
  label: string;
  /** The name of a colour of styles.css, e.g. "accent". */
  colour: string;
  values: (number | null)[];
  /** Told apart by its dashes too, not by its colour alone. */
  dashed?: boolean;
};

/**
 * Lines over time. The picture has its words beside it: `summary` says what it shows, and whoever
 * cannot see it misses nothing.
 */
export function Chart({
  title,
  summary,
  times,
  lines,
  unit,
  height = 160,
}: {
  title: string;
  summary: string;
  /** Seconds since 1970. */
  times: number[];
  lines: Line[];
  unit?: string;
  height?: number;
}) {
  return (
    <figure className="min-w-0">
      <figcaption className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1 pb-1 text-sm">
        <span className="font-medium">{title}</span>
        <span className="flex flex-wrap gap-3 text-soft text-xs">
          {lines.map((line) => (
            <span key={line.label} className="inline-flex items-center gap-1.5">
              <svg width="18" height="4" aria-hidden>
                <title>{line.label}</title>
                <line
                  x2="18"
                  y1="2"
                  y2="2"
                  stroke={`var(--${line.colour})`}
                  strokeWidth="2.5"
                  strokeDasharray={line.dashed ? "5 3" : undefined}
                />
              </svg>
              {line.label}
            </span>
          ))}
        </span>
      </figcaption>
      <div role="img" aria-label={summary} style={{ height }}>
        {times.length > 1 ? (
          <Suspense fallback={null}>
            <Plot times={times} lines={lines} unit={unit ?? ""} height={height} />
          </Suspense>
        ) : (
          <p className="flex h-full items-center justify-center text-soft text-sm">
            Collecting the first numbers …
          </p>
        )}
      </div>
    </figure>
  );
}
