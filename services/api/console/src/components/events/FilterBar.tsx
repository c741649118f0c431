import { Search, SlidersHorizontal } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Button } from "@/components/Button";
import { Select } from "@/components/Fields";
import type { Fault } from "@/lib/api";
import { useHotkeys } from "@/lib/hotkeys";
import { FilterText } from "./FilterText";
import { type EventFilters, type FilterName, LABELS, RANGES, STATUSES, since } from "./filters";
import { MoreFilters } from "./MoreFilters";

const MORE: FilterName[] = [
  "type",
  "source",
  "subject",
  "external_id",
  "rule_id",
  "received_after",
  "received_before",
];

type Props = {
  filters: EventFilters;
  change: (changes: EventFilters, isTyping?: boolean) => void;
  /** What the api refused, to be shown at its field. */
  faults: Fault[];
  types: string[];
  sources: string[];
  children?: ReactNode;
};

export function FilterBar({ filters, change, faults, types, sources, children }: Props) {
  const search = useRef<HTMLInputElement>(null);
  const id = useId();
  const wrong = (name: FilterName) => faults.find((fault) => fault.parameter === name)?.detail;
  const isMoreWrong = MORE.some((name) => wrong(name));
  const [isOpen, setOpen] = useState(isMoreWrong);
  useEffect(() => {
    if (isMoreWrong) setOpen(true);
  }, [isMoreWrong]);
  useHotkeys({ "/": () => search.current?.focus() });
  return (
    <search aria-label="Filter events" className="flex flex-col gap-2">
      <div className="flex flex-wrap items-start gap-2">
        <div className="relative min-w-0 basis-full sm:flex-1 sm:basis-48">
          <Search aria-hidden className="absolute top-2.5 left-2.5 size-4 text-soft" />
          <FilterText
            ref={search}
            aria-label="Search"
            placeholder="Part of an id, type, subject or source"
            className="pl-8"
            shortest={2}
            maxLength={100}
            value={filters.q ?? ""}
            onApply={(q, isTyping) => change({ q }, isTyping)}
            {...invalid(id, "q", wrong("q"))}
          />
        </div>
        <Select
          aria-label="Status"
          className="w-auto! flex-1 sm:flex-none"
          value={filters.status ?? ""}
          onChange={(event) => change({ status: event.target.value })}
          {...invalid(id, "status", wrong("status"))}
        >
          <option value="">Any status</option>
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
          {filters.status && !STATUSES.some((known) => known === filters.status) && (
            <option>{filters.status}</option>
          )}
        </Select>
        <Ranges filters={filters} change={change} />
        <Button
          aria-expanded={isOpen}
          aria-controls={`${id}-more`}
          onClick={() => setOpen(!isOpen)}
          className="flex-1 sm:flex-none"
        >
          <SlidersHorizontal aria-hidden className="size-4" /> More filters
        </Button>
        {children}
      </div>
      {(["q", "status"] as const).map(
        (name) =>
          wrong(name) && (
            <p key={name} id={`${id}-${name}`} className="text-bad text-xs">
              {LABELS[name]}: {wrong(name)}
            </p>
          ),
      )}
      <div id={`${id}-more`} hidden={!isOpen}>
        {isOpen && <MoreFilters {...{ filters, change, wrong, types, sources }} />}
      </div>
    </search>
  );
}

function Ranges({ filters, change }: Pick<Props, "filters" | "change">) {
  const choose = (seconds: string) => {
    if (seconds === "") change({ received_after: "", received_before: "" });
    else change({ received_after: since(Number(seconds), Date.now()), received_before: "" });
  };
  const isSet = filters.received_after || filters.received_before;
  return (
    <Select
      aria-label="Received"
      className="w-auto! flex-1 sm:flex-none"
      value={isSet ? "set" : ""}
      onChange={(event) => choose(event.target.value)}
    >
      <option value="">Any time</option>
      {isSet && <option value="set">Chosen time</option>}
      {RANGES.map(([title, seconds]) => (
        <option key={seconds} value={seconds}>
          {title}
        </option>
      ))}
    </Select>
  );
}

function invalid(id: string, name: string, detail: string | undefined) {
  return detail ? { "aria-invalid": true as const, "aria-describedby": `${id}-${name}` } : {};
}
