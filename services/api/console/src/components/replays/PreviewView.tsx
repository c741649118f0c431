import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";
import { Sendings } from "./Sendings";
import { atLeast } from "./words";

type Preview = Schemas["Preview"];

/** The second step: what the api says a job would find and send. Every number is the api's. */
export function PreviewView({ preview }: { preview: Preview }) {
  return (
    <div className="flex flex-col gap-5">
      <dl className="grid grid-cols-2 gap-x-6 gap-y-4 lg:grid-cols-4">
        <Big name="Events found" value={atLeast(preview, preview.count)}>
          {preview.cut_off && "the oldest; there are more"}
          {!preview.exact && "the oldest of the range; there may be more"}
        </Big>
        <Big name="Can be replayed" value={atLeast(preview, preview.replayable)}>
          finished, and their data is there
        </Big>
        <Moment name="First received" at={preview.first} />
        <Moment name="Last received" at={preview.last} />
      </dl>
      <div className="grid gap-5 lg:grid-cols-2">
        <Counts title="By status" counts={preview.by_status} />
        <Counts title="By type" counts={preview.by_type} />
      </div>
      {preview.expired > 0 && (
        <p className="text-sm">
          {plural(preview.expired, "event has", "events have")} lost their data to retention and
          will be skipped.
        </p>
      )}
      <Sendings preview={preview} />
      <Looking preview={preview} />
      {preview.notes.length > 0 && (
        <ul className="list-inside list-disc text-soft text-sm">
          {preview.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Big({ name, value, children }: { name: string; value: ReactNode; children?: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-soft text-xs">{name}</dt>
      <dd className="tabular font-semibold text-lg">{value}</dd>
      {children && <dd className="text-soft text-xs">{children}</dd>}
    </div>
  );
}

function Moment({ name, at }: { name: string; at: string | null }) {
  return (
    <div className="col-span-2 min-w-0 sm:col-span-1">
      <dt className="text-soft text-xs">{name}</dt>
      <dd className="text-sm leading-7">{at ? <Time at={at} show="exact" /> : "none"}</dd>
    </div>
  );
}

function Counts({ title, counts }: { title: string; counts: Record<string, number> }) {
  const rows = Object.entries(counts).sort(([, one], [, other]) => other - one);
  if (rows.length === 0) return null;
  return (
    <section className="min-w-0">
      <h3 className="mb-1 font-medium text-[13px]">{title}</h3>
      <dl className="max-h-44 overflow-y-auto text-sm">
        {rows.map(([name, number]) => (
          <div key={name} className="flex gap-3 border-line border-b py-1 last:border-0">
            <dt className="min-w-0 flex-1 truncate" title={name}>
              {name}
            </dt>
            <dd className="tabular">{count(number)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Looking({ preview: { rules, mode, exact } }: { preview: Preview }) {
  if (mode === "original") return null;
  return (
    <section>
      <h3 className="mb-1 font-medium text-[13px]">Rules that look at these types</h3>
      {rules.length === 0 ? (
        <p className="text-soft text-sm">
          {exact
            ? "None: the events are processed, and no rule acts."
            : "None at those found so far; the others may have other types."}
        </p>
      ) : (
        <ul className="max-h-44 overflow-y-auto text-sm">
          {rules.map((rule) => (
            <li
              key={`${rule.rule_id}/${rule.version}`}
              className="flex gap-3 border-line border-b py-1 last:border-0"
            >
              <Link
                to="/rules/$id"
                params={{ id: rule.rule_id }}
                className="min-w-0 flex-1 truncate hover:underline"
              >
                {rule.name}
              </Link>
              <span className="text-soft">version {rule.version}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
