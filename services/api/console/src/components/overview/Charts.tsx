import { useMemo } from "react";
import { Chart } from "@/components/chart/Chart";
import type { Schemas } from "@/lib/api";
import { count, rate } from "@/lib/format";

type Series = Schemas["Overview"]["series"];

/** The last quarter of an hour: what flows, and what waits. */
export function Charts({ series }: { series: Series }) {
  const { points } = series;
  const drawn = useMemo(
    () => ({
      times: points.map((point) => Date.parse(point.at) / 1000),
      flow: [
        {
          label: "accepted",
          colour: "info",
          values: points.map((point) => point.accepted),
          dashed: true,
        },
        { label: "applied", colour: "accent", values: points.map((point) => point.applied) },
      ],
      waits: [
        {
          label: "outbox",
          colour: "warn",
          values: points.map((point) => point.outbox_pending),
          dashed: true,
        },
        { label: "lag", colour: "bad", values: points.map((point) => point.lag) },
      ],
    }),
    [points],
  );
  const last = points.at(-1);
  const most = Math.max(0, ...points.map((point) => point.outbox_pending + point.lag));
  return (
    <div className="grid gap-6 md:grid-cols-2">
      <Chart
        title="Per second"
        times={drawn.times}
        lines={drawn.flow}
        summary={
          last
            ? `Now ${rate(last.accepted)} accepted and ${rate(last.applied)} applied.`
            : "No numbers yet."
        }
      />
      <Chart
        title="Waiting"
        times={drawn.times}
        lines={drawn.waits}
        summary={
          last
            ? `Now ${count(last.outbox_pending)} in the outbox and ${count(last.lag)} in Kafka; at most ${count(most)} in this time.`
            : "No numbers yet."
        }
      />
    </div>
  );
}
