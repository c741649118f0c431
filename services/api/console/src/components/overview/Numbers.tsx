import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "@/lib/api";
import { compact, count } from "@/lib/format";
import { duration } from "@/lib/time";

/** What needs somebody first: each number leads to what it counts. */
export function Numbers({ overview }: { overview: Schemas["Overview"] }) {
  const { pipeline, latency } = overview;
  const { dead_letters: letters, deliveries } = pipeline;
  const open = (letters.relay ?? 0) + (letters.consumer ?? 0) + (letters.delivery ?? 0);
  return (
    <div className="grid grid-cols-2 gap-3 md:grid-cols-4">
      <Stat
        title="Accepted to applied, p95"
        value={latency.p95_ms === null ? "–" : duration(latency.p95_ms)}
        says={
          latency.p50_ms === null || latency.p99_ms === null
            ? "no event was applied yet"
            : `p50 ${duration(latency.p50_ms)} · p99 ${duration(latency.p99_ms)} of ${count(latency.looked_at)}`
        }
      />
      <Stat
        title="Failed, last 24 h"
        value={compact(pipeline.failed_last_24h)}
        bad={pipeline.failed_last_24h > 0}
        says="events"
        link={{ to: "/events", search: { status: "failed" } }}
      />
      <Stat
        title="Dead letters"
        value={`${compact(open)}${letters.capped ? "+" : ""}`}
        bad={open > 0}
        says={
          open === 0
            ? "nothing waits for a person"
            : `relay ${letters.relay} · consumer ${letters.consumer} · delivery ${letters.delivery}`
        }
        link={{ to: "/dead-letters" }}
      />
      <Stat
        title="Unknown deliveries"
        value={compact(deliveries.unknown)}
        bad={deliveries.unknown > 0}
        says="may or may not have arrived"
        link={{ to: "/deliveries", search: { state: "unknown" } }}
      />
    </div>
  );
}

type StatProps = {
  title: string;
  value: ReactNode;
  says: ReactNode;
  bad?: boolean;
  link?: Pick<LinkProps, "to" | "search">;
};

function Stat({ title, value, says, bad, link }: StatProps) {
  const look = "block rounded-lg border border-line bg-card px-4 py-3";
  const inner = (
    <>
      <span className="block text-soft text-xs">{title}</span>
      <span
        className={`tabular block font-semibold text-2xl tracking-tight ${bad ? "text-bad" : ""}`}
      >
        {value}
      </span>
      <span className="block text-soft text-xs">{says}</span>
    </>
  );
  if (!link) return <div className={look}>{inner}</div>;
  return (
    <Link {...link} className={`${look} transition-colors hover:border-edge`}>
      {inner}
    </Link>
  );
}
