import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { compact } from "@/lib/format";
import { usePrefs } from "@/lib/prefs";
import type { Line } from "./Chart";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

type Props = { times: number[]; lines: Line[]; unit: string; height: number };

/** The drawn part of a Chart, in a chunk of its own. */
export default function Plot({ times, lines, unit, height }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { theme } = usePrefs();
  const dark = document.documentElement.dataset.theme === "dark";
  const shape = lines.map((line) => `${line.label} ${line.colour}`).join();
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times, ...lines.map((line) => line.values)];
  const latest = useRef(lines);
  latest.current = lines;

  // biome-ignore lint/correctness/useExhaustiveDependencies: theme and shape are what the drawing is made of
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const drawn = new uPlot(
      options(latest.current, unit, parent.clientWidth, height),
      data.current,
      parent,
    );
    plot.current = drawn;
    const watcher = new ResizeObserver(() => drawn.setSize({ width: parent.clientWidth, height }));
    watcher.observe(parent);
    return () => {
      watcher.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [shape, unit, height, theme, dark]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: new numbers are drawn, the rest stays
  useEffect(() => {
    plot.current?.setData(data.current);
  }, [times, lines]);

  return <div ref={box} className="overflow-hidden" />;
}

function options(lines: Line[], unit: string, width: number, height: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis: uPlot.Axis = {
    stroke: colour("soft"),
    font: "11px Inter Variable, sans-serif",
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      {
        ...axis,
        space: 70,
        values: (_plot, values) => values.map((value) => clock.format(value * 1000)),
      },
      {
        ...axis,
        size: 48,
        values: (_plot, values) => values.map((value) => compact(value) + unit),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 2,
        dash: line.dashed ? [5, 4] : undefined,
        points: { show: false },
      })),
    ],
  };
}
