import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { CopyButton } from "@/components/Code";
import { Facts } from "@/components/Page";
import { Time } from "@/components/Time";
import { plural } from "@/lib/format";

const WORDS: Record<string, string> = {
  type: "Type",
  status: "Status",
  source: "Source",
  subject: "Subject",
  external_id: "External id",
  q: "Search",
  rule_id: "Rule",
  received_after: "Received after",
  received_before: "Received before",
  event_ids: "Events",
};

/** Which events a job takes, in the words of the events list. */
export function FilterFacts({ filter }: { filter: Record<string, unknown> }) {
  const facts = Object.entries(filter).flatMap(([name, value]): [string, ReactNode][] =>
    value === null || value === undefined ? [] : [[WORDS[name] ?? name, show(name, value)]],
  );
  const narrow = Object.keys(filter).some(
    (name) => name !== "received_before" && filter[name] !== null && filter[name] !== undefined,
  );
  return (
    <div className="flex flex-col gap-2">
      {!narrow && <p className="text-sm">Every event up to a moment.</p>}
      <Facts facts={facts} />
    </div>
  );
}

function show(name: string, value: unknown): ReactNode {
  if (Array.isArray(value)) return `${plural(value.length, "named event")}`;
  const text = String(value);
  if (name === "received_after" || name === "received_before")
    return <Time at={text} show="exact" />;
  if (name === "rule_id")
    return (
      <span className="inline-flex max-w-full items-center gap-0.5">
        <Link to="/rules/$id" params={{ id: text }} className="truncate text-accent underline">
          <code className="font-mono text-[13px]">{text}</code>
        </Link>
        <CopyButton text={text} label="Copy id" />
      </span>
    );
  return <code className="break-all font-mono text-[13px]">{text}</code>;
}
