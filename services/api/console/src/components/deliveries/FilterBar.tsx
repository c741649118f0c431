import { ListFilter, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/Button";
import { Field, Input, Select } from "@/components/Fields";
import { MomentInput } from "@/components/MomentInput";
import { useHotkeys } from "@/lib/hotkeys";
import type { Search } from "@/lib/search";

export type Filter =
  | {
      name: string;
      label: string;
      kind: "choice";
      choices: [string, string][];
      /** What nothing chosen means, when that is not any. */
      none?: string;
      rare?: boolean;
    }
  | { name: string; label: string; kind: "text"; placeholder?: string; rare?: boolean }
  | { name: string; label: string; kind: "moment"; rare?: boolean };

/** Filters of a list. They live in the address: what is chosen here is what a link carries. */
export function FilterBar({
  filters,
  search,
  change,
}: {
  filters: Filter[];
  search: Search;
  change: (part: Search) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const rareInUse = filters.some(({ rare, name }) => rare && search[name]);
  const [asked, setAsked] = useState(false);
  const all = asked || rareInUse;
  const chosen = filters.filter(({ name }) => search[name]);
  useHotkeys({ "/": () => box.current?.querySelector<HTMLElement>("select, input")?.focus() });
  const clear = () => change(Object.fromEntries(filters.map(({ name }) => [name, undefined])));
  return (
    <search aria-label="Filters">
      <div ref={box} className="grid grid-cols-2 items-end gap-3 sm:flex sm:flex-wrap">
        {filters
          .filter(({ rare }) => all || !rare)
          .map((filter) =>
            filter.kind === "moment" ? (
              <MomentInput
                key={filter.name}
                label={filter.label}
                className="col-span-2 sm:w-56"
                value={search[filter.name]}
                onChange={(moment) => change({ [filter.name]: moment })}
              />
            ) : (
              <Field key={filter.name} label={filter.label} className="sm:w-44">
                {(props) => (
                  <Control
                    {...props}
                    filter={filter}
                    value={search[filter.name] ?? ""}
                    change={(value) => change({ [filter.name]: value || undefined })}
                  />
                )}
              </Field>
            ),
          )}
        <div className="col-span-2 flex gap-1">
          {filters.some(({ rare }) => rare) && !rareInUse && (
            <Button look="quiet" aria-expanded={all} onClick={() => setAsked(!asked)}>
              <ListFilter aria-hidden className="size-4" />
              {all ? "Fewer filters" : "More filters"}
            </Button>
          )}
          {chosen.length > 0 && (
            <Button look="quiet" onClick={clear}>
              <X aria-hidden className="size-4" />
              Clear
            </Button>
          )}
        </div>
      </div>
    </search>
  );
}

type ControlProps = {
  id: string;
  filter: Exclude<Filter, { kind: "moment" }>;
  value: string;
  change: (value: string) => void;
};

function Control({ filter, value, change, ...rest }: ControlProps) {
  if (filter.kind === "text")
    return (
      <TextControl {...rest} value={value} change={change} placeholder={filter.placeholder ?? ""} />
    );
  const known = filter.choices.some(([one]) => one === value);
  return (
    <Select {...rest} value={value} onChange={(event) => change(event.target.value)}>
      <option value="">{filter.none ?? "any"}</option>
      {value !== "" && !known && <option value={value}>{value}</option>}
      {filter.choices.map(([one, title]) => (
        <option key={one} value={one}>
          {title}
        </option>
      ))}
    </Select>
  );
}

/** Typed text counts when it is done: with Enter, or when the field is left. */
function TextControl({
  value,
  change,
  ...rest
}: {
  id: string;
  value: string;
  change: (value: string) => void;
  placeholder: string;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const done = () => {
    if (text.trim() !== value) change(text.trim());
  };
  return (
    <Input
      {...rest}
      type="search"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onBlur={done}
      onKeyDown={(event) => event.key === "Enter" && done()}
    />
  );
}
