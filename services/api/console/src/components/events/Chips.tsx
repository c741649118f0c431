import { X } from "lucide-react";
import { Button } from "@/components/Button";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import { exact } from "@/lib/time";
import { type EventFilters, type FilterName, LABELS, NAMES } from "./filters";

/** What the list is narrowed by; each part can be taken away. */
export function Chips({
  filters,
  change,
}: {
  filters: EventFilters;
  change: (changes: EventFilters) => void;
}) {
  const active = NAMES.filter((name) => filters[name]);
  if (active.length === 0) return null;
  const clear = () => change(Object.fromEntries(active.map((name) => [name, ""])));
  return (
    <ul aria-label="Active filters" className="flex flex-wrap items-center gap-1.5">
      {active.map((name) => (
        <li key={name} className="min-w-0">
          <button
            type="button"
            onClick={() => change({ [name]: "" })}
            className="inline-flex max-w-full items-center gap-1.5 rounded-full border border-line bg-card py-1 pr-2 pl-3 text-[13px] hover:border-edge"
          >
            <span className="text-soft">{LABELS[name]}</span>
            <span className="max-w-72 truncate font-medium">
              <Value name={name} value={filters[name] ?? ""} />
            </span>
            <X aria-hidden className="size-3.5 shrink-0 text-soft" />
            <span className="sr-only">: remove this filter</span>
          </button>
        </li>
      ))}
      <li>
        <Button small look="quiet" onClick={clear}>
          Clear all
        </Button>
      </li>
    </ul>
  );
}

function Value({ name, value }: { name: FilterName; value: string }) {
  if (name === "rule_id") return <RuleName id={value} />;
  if (name.startsWith("received_") && !Number.isNaN(Date.parse(value)))
    return exact(value, "local");
  return value;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function RuleName({ id }: { id: string }) {
  const mayRead = useMay("rules:read");
  const query = api.useQuery(
    "get",
    "/rules/{rule_id}",
    { params: { path: { rule_id: id } } },
    { staleTime: 60_000, enabled: mayRead && UUID.test(id) },
  );
  return query.data?.name ?? id;
}
