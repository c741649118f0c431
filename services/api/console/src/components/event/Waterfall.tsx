import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { duration } from "@/lib/time";
import { Bar, ROW_PIXELS } from "./Bar";
import { type Step, type Steps, wordsOf } from "./entries";
import { OutcomeMark } from "./looks";
import { ScaleGround, ScaleHead } from "./Scale";
import { squeeze } from "./squeeze";

/** More rows than this scroll by themselves, and only the visible ones exist. */
const ROWS_MAX = 120;
const SCROLLING_HEIGHT = "68vh";
const STEPS: Record<string, (at: number, last: number) => number> = {
  ArrowDown: (at, last) => Math.min(last, at + 1),
  ArrowUp: (at) => Math.max(0, at - 1),
  Home: () => 0,
  End: (_, last) => last,
};

type Props = {
  history: Steps;
  selected: string | null;
  onSelect: (key: string) => void;
  onHover: (key: string | null) => void;
};

/** The history of an event as bars on one axis; a list of choices for the keyboard and for readers. */
export function Waterfall({ history, selected, onSelect, onHover }: Props) {
  const { steps } = history;
  const [plot, width] = useWidth();
  const axis = useMemo(
    () =>
      squeeze(
        steps.filter(({ envelope }) => !envelope),
        Math.max(120, width - 12),
      ),
    [steps, width],
  );
  const box = useRef<HTMLDivElement>(null);
  const many = steps.length > ROWS_MAX;
  const virtual = useVirtualizer({
    count: steps.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PIXELS,
    overscan: 20,
    enabled: many,
  });
  const at = steps.findIndex(({ entry }) => entry.key === selected);
  useEffect(() => {
    if (many && at >= 0) virtual.scrollToIndex(at);
  }, [many, at, virtual.scrollToIndex]);
  const id = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    const next = STEPS[event.key]?.(at, steps.length - 1);
    const step = next === undefined ? undefined : steps[next];
    if (step === undefined) return;
    event.preventDefault();
    onSelect(step.entry.key);
  };
  const shown = many
    ? virtual.getVirtualItems().map(({ index, start }) => ({ index, top: start }))
    : steps.map((_, index) => ({ index, top: index * ROW_PIXELS }));
  return (
    <div className="min-w-0">
      <div className={`${GRID} border-line border-b bg-card`}>
        <span className="self-end py-1 pl-4 font-medium text-soft text-xs">Step</span>
        <div ref={plot} className="min-w-0">
          <ScaleHead axis={axis} />
        </div>
        <span className="self-end py-1 pr-4 text-right font-medium text-soft text-xs">Took</span>
      </div>
      <div
        ref={box}
        role="listbox"
        aria-label="Timeline"
        aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onPointerLeave={() => onHover(null)}
        className="overflow-y-auto overflow-x-hidden focus-visible:outline-offset-[-2px]"
        style={{ maxHeight: many ? SCROLLING_HEIGHT : undefined }}
      >
        <div className="relative" style={{ height: steps.length * ROW_PIXELS }}>
          <div className={`${GRID} pointer-events-none absolute inset-0`} role="presentation">
            <span />
            <span className="relative">
              <ScaleGround axis={axis} />
            </span>
          </div>
          {shown.map(({ index, top }) => {
            const step = steps[index];
            if (step === undefined) return null;
            return (
              <div
                key={step.entry.key}
                id={`${id}-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === at}
                aria-setsize={steps.length}
                aria-posinset={index + 1}
                onClick={() => onSelect(step.entry.key)}
                onKeyDown={undefined}
                onPointerEnter={() => onHover(step.entry.key)}
                className={`${GRID} absolute inset-x-0 cursor-pointer hover:bg-accent-tint/50 aria-selected:bg-accent-tint ${step.entry.parent === null && index > 0 ? "border-line border-t" : ""}`}
                style={{ top, height: ROW_PIXELS }}
              >
                <Label step={step} />
                <Bar step={step} axis={axis} from={linkOf(step, steps)} />
                <span className="tabular self-center whitespace-nowrap pr-4 text-right text-soft text-xs">
                  {step.entry.duration_ms == null ? "" : duration(step.entry.duration_ms)}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

const GRID = "grid grid-cols-[minmax(9rem,19rem)_minmax(0,1fr)_5rem] gap-x-2";

function Label({ step: { entry } }: { step: Step }) {
  const { name, more } = wordsOf(entry);
  const isRoot = entry.parent === null;
  return (
    <span
      className="flex min-w-0 items-center gap-1.5 text-[13px]"
      style={{ paddingLeft: 16 + entry.depth * 16 }}
    >
      <OutcomeMark outcome={entry.outcome} />
      <span className="min-w-0 truncate">
        <span className={isRoot ? "font-semibold" : entry.depth === 1 ? "font-medium" : ""}>
          {name}
        </span>{" "}
        <span className="text-soft">{more}</span>
      </span>
    </span>
  );
}

/** Where the run before this replay was over. */
function linkOf({ entry }: Step, steps: Step[]): number | undefined {
  if (entry.kind !== "replay") return undefined;
  const before = steps.filter((step) => step.entry.run === entry.run - 1 && !step.envelope);
  return before.find((step) => step.entry.kind === "applied")?.end ?? before[0]?.end;
}

function useWidth(): [(element: HTMLDivElement | null) => void, number] {
  const [element, setElement] = useState<HTMLDivElement | null>(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [setElement, width];
}
