import { useEffect, useState } from "react";
import { Input, Select, Switch } from "@/components/Fields";
import { useDebounced } from "./useDebounced";

export type RuleSearch = {
  q?: string;
  event_type?: string;
  state?: string;
  active?: string;
  archived?: string;
};

/** The filters of the list; they live in the address. */
export function RuleFilters({
  search,
  go,
}: {
  search: RuleSearch;
  go: (search: RuleSearch) => void;
}) {
  return (
    <search aria-label="Filter rules" className="flex flex-wrap items-center gap-2">
      <Typed label="Name contains" value={search.q ?? ""} onChange={(q) => go({ q })} />
      <Typed
        label="For events of type"
        mono
        value={search.event_type ?? ""}
        onChange={(event_type) => go({ event_type })}
      />
      <Select
        aria-label="Has a version that is"
        className="w-auto!"
        value={search.state ?? ""}
        onChange={(event) => go({ state: event.target.value })}
      >
        <option value="">Any state</option>
        <option value="published">Published</option>
        <option value="shadow">In shadow</option>
        <option value="draft">Draft</option>
        <option value="retired">Retired</option>
      </Select>
      <Select
        aria-label="Active"
        className="w-auto!"
        value={search.active ?? ""}
        onChange={(event) => go({ active: event.target.value })}
      >
        <option value="">On and off</option>
        <option value="true">On</option>
        <option value="false">Off</option>
      </Select>
      <Switch
        label="Archived"
        checked={search.archived === "true"}
        onChange={(archived) => go({ archived: archived ? "true" : "" })}
      />
    </search>
  );
}

/** Goes into the address once typing pauses; follows it when it changes elsewhere. */
function Typed({
  label,
  value,
  mono,
  onChange,
}: {
  label: string;
  value: string;
  mono?: boolean;
  onChange: (value: string) => void;
}) {
  const [text, setText] = useState(value);
  const settled = useDebounced(text, 300);
  useEffect(() => setText(value), [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what was typed is told, once
  useEffect(() => {
    if (settled === text && settled !== value) onChange(settled);
  }, [settled]);
  return (
    <Input
      type="search"
      aria-label={label}
      placeholder={label}
      className={`sm:w-56! ${mono && text ? "font-mono" : ""}`}
      maxLength={mono ? 200 : 100}
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
  );
}
