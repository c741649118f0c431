import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Id } from "@/components/Code";
import { Facts } from "@/components/Page";
import { Time } from "@/components/Time";
import { duration } from "@/lib/time";
import { phasesOf } from "./Bar";
import { type Entry, type Step, textOf } from "./entries";
import { colourOf, OutcomeMark } from "./looks";

/** Members that stand elsewhere, or that only a machine wants. */
const LEFT_OUT = new Set([
  "rule_name",
  "target_name",
  "traceparent",
  "dns_ms",
  "connect_ms",
  "tls_ms",
  "first_byte_ms",
  "kafka_partition",
  "kafka_offset",
  "outcome",
  "status",
]);
const NAMES: Record<string, string> = {
  attempt_no: "Attempt",
  topic: "Kafka record",
  kafka_key: "Key",
  consumer: "Instance",
  dispatcher: "Instance",
  leased_by: "Instance",
  rule_id: "Rule",
  target_id: "Target",
  job_id: "Job",
  error_class: "Error",
  error_message: "Message",
  status_code: "Answer",
  received_count: "Received",
  url: "Address",
  address: "Network address",
  reason: "Why",
};

/** All that is known of one step. */
export function Detail({ step }: { step: Step }) {
  const { entry } = step;
  return (
    <div className="flex flex-col gap-3 text-sm">
      <p className="flex items-start gap-2 font-medium">
        <span className="mt-0.5">
          <OutcomeMark outcome={entry.outcome} />
        </span>
        <span className="min-w-0 break-words">{entry.title}</span>
      </p>
      <Phases entry={entry} />
      <Facts
        facts={[
          [
            entry.outcome === "waiting" ? "Planned for" : "At",
            <Time key="at" at={entry.at} show="exact" />,
          ],
          ["After the start", `+${duration(Math.max(0, step.start))}`],
          ...(entry.duration_ms == null
            ? []
            : [["Took", duration(entry.duration_ms)] as [string, ReactNode]]),
          ...factsOf(entry),
          ...(entry.trace_id
            ? [
                [
                  "Trace",
                  <Id key="trace" id={entry.trace_id} short={`${entry.trace_id.slice(0, 12)}…`} />,
                ] as [string, ReactNode],
              ]
            : []),
        ]}
      />
      <More entry={entry} />
    </div>
  );
}

function factsOf(entry: Entry): [string, ReactNode][] {
  return Object.entries(entry.detail ?? {}).flatMap(([name, value]): [string, ReactNode][] => {
    if (LEFT_OUT.has(name) || value === null || (value === false && name !== "shadow")) return [];
    if (name === "shadow" && value !== true) return [];
    return [[NAMES[name] ?? sentence(name), shown(entry, name, value)]];
  });
}

function shown(entry: Entry, name: string, value: unknown): ReactNode {
  if (typeof value === "string") {
    if (name === "rule_id") {
      return (
        <Link to="/rules/$id" params={{ id: value }} className={LINK}>
          {textOf(entry, "rule_name") ?? value}
        </Link>
      );
    }
    if (name === "target_id") {
      return (
        <Link to="/targets/$id" params={{ id: value }} className={LINK}>
          {textOf(entry, "target_name") ?? value}
        </Link>
      );
    }
    if (name === "job_id") {
      return (
        <Link to="/replays/$id" params={{ id: value }} className={LINK}>
          {value}
        </Link>
      );
    }
    if (name === "topic" && entry.detail?.kafka_offset !== undefined) {
      return `${value} / ${String(entry.detail.kafka_partition)} / ${String(entry.detail.kafka_offset)}`;
    }
    if (name.endsWith("_at") || name === "sending_since") return <Time at={value} show="exact" />;
    if (name === "id" || name === "payload_hash" || name === "repeats_id") {
      return <Id id={value} short={value.length > 24 ? `${value.slice(0, 20)}…` : value} />;
    }
    return <span className="break-all">{value}</span>;
  }
  if (value === true) return "yes";
  if (typeof value === "number") return String(value);
  return <code className="break-all font-mono text-xs">{JSON.stringify(value)}</code>;
}

const LINK = "text-accent underline underline-offset-2";

/** Where to read on. */
function More({ entry }: { entry: Entry }) {
  const id = textOf(entry, "id");
  if (entry.kind === "delivery" && id !== null) {
    return (
      <Link to="/deliveries/$id" params={{ id }} className={LINK}>
        Open the delivery
      </Link>
    );
  }
  const delivery = /^delivery\/([^/]+)\//.exec(entry.key)?.[1];
  if (delivery !== undefined) {
    return (
      <Link to="/deliveries/$id" params={{ id: delivery }} className={LINK}>
        Open the delivery: request, headers, answer
      </Link>
    );
  }
  if (entry.kind === "dead_letter" && id !== null) {
    return (
      <Link to="/dead-letters" search={{ letter: id }} className={LINK}>
        Open the dead letter
      </Link>
    );
  }
  return null;
}

function Phases({ entry }: { entry: Entry }) {
  const phases = phasesOf(entry);
  if (phases.length === 0) return null;
  const total = phases.reduce((all, { ms }) => all + ms, 0);
  return (
    <div className="flex flex-col gap-1.5">
      <div aria-hidden className="flex h-3 overflow-hidden rounded-sm">
        {phases.map(({ title, ms, opacity }) => (
          <span
            key={title}
            style={{
              width: `${(ms / total) * 100}%`,
              background: colourOf(entry.outcome),
              opacity,
            }}
          />
        ))}
      </div>
      <ul className="flex flex-wrap gap-x-3 text-xs">
        {phases.map(({ title, ms, opacity }) => (
          <li key={title} className="flex items-center gap-1 text-soft">
            <span
              aria-hidden
              className="size-2.5 rounded-sm"
              style={{ background: colourOf(entry.outcome), opacity }}
            />
            {title} <span className="tabular text-ink">{duration(ms)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function sentence(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
