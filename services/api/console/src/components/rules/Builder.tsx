import { Plus, Trash2 } from "lucide-react";
import { useId, useRef, useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Input, Select } from "@/components/Fields";
import {
  fromCondition,
  OPERATORS,
  type Operator,
  type Row,
  type Simple,
  toCondition,
} from "./builder";
import { type Engine, parse, pretty } from "./draft";

const NEW_ROW: Row = { field: "", operator: "==", value: "" };
type Path = { path: string; seen: string };

/** The builder's form of a text, or null where the text says more than it can show. */
export function simpleOf(text: string): Simple | null {
  const parsed = parse(text);
  return parsed.ok ? fromCondition(parsed.value) : null;
}

/** A condition by rows. It writes the JSON; half-written rows live here until they say something. */
export function Builder({
  condition,
  onChange,
  paths,
  engine,
}: {
  condition: string;
  onChange: (condition: string) => void;
  paths: Path[];
  engine: Engine;
}) {
  const wrote = useRef(condition);
  const [simple, setSimple] = useState(() => simpleOf(condition));
  const list = useId();
  if (wrote.current !== condition) {
    // Somebody else wrote the text: begin from it again.
    wrote.current = condition;
    setSimple(simpleOf(condition));
  }
  if (simple === null) return null;
  const put = (next: Simple) => {
    const text = pretty(toCondition(next));
    wrote.current = text;
    setSimple(next);
    onChange(text);
  };
  const rows = simple.rows;
  const change = (place: number, part: Partial<Row>) =>
    put({ ...simple, rows: rows.map((row, at) => (at === place ? { ...row, ...part } : row)) });
  return (
    <div className="flex flex-col gap-2 rounded-md border border-line p-3">
      <datalist id={list}>
        {paths.map(({ path, seen }) => (
          <option key={path} value={path}>
            {seen}
          </option>
        ))}
      </datalist>
      {rows.length > 1 ? (
        <label htmlFor={`${list}-join`} className="flex flex-wrap items-center gap-2 text-sm">
          The rule applies where
          <Select
            id={`${list}-join`}
            className="h-8! w-auto!"
            value={simple.join}
            onChange={(event) =>
              put({ ...simple, join: event.target.value === "any" ? "any" : "all" })
            }
          >
            <option value="all">all of these hold</option>
            <option value="any">any of these holds</option>
          </Select>
        </label>
      ) : (
        <p className="text-sm">
          {rows.length === 1
            ? "The rule applies where"
            : "The rule applies to every event of its type."}
        </p>
      )}
      {rows.map((row, place) => (
        <Line
          // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name; all are controlled
          key={place}
          row={row}
          place={place}
          list={list}
          engine={engine}
          change={(part) => change(place, part)}
          remove={() => put({ ...simple, rows: rows.filter((_, at) => at !== place) })}
        />
      ))}
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Button small onClick={() => put({ ...simple, rows: [...rows, NEW_ROW] })}>
          <Plus aria-hidden className="size-3.5" />
          Add a comparison
        </Button>
        {rows.length > 0 && (
          <p className="text-soft text-xs">
            12 is a number, “12” in double quotes a text. Commas part a list.
          </p>
        )}
      </div>
    </div>
  );
}

function Line({
  row,
  place,
  list,
  engine,
  change,
  remove,
}: {
  row: Row;
  place: number;
  list: string;
  engine: Engine;
  change: (part: Partial<Row>) => void;
  remove: () => void;
}) {
  const number = place + 1;
  const offered = Object.entries(OPERATORS).filter(
    ([, shape]) => engine === "datalogic" || !("datalogic" in shape),
  );
  const takesValue = OPERATORS[row.operator].value;
  return (
    <fieldset className="grid grid-cols-[1fr_auto] gap-2 sm:grid-cols-[minmax(0,1.2fr)_minmax(0,1fr)_minmax(0,1fr)_auto]">
      <legend className="sr-only">Comparison {number}</legend>
      <Input
        aria-label={`Field ${number}`}
        placeholder="amount"
        list={list}
        value={row.field}
        className="font-mono col-span-2 sm:col-span-1"
        onChange={(event) => change({ field: event.target.value })}
      />
      <Select
        aria-label={`Operator ${number}`}
        value={row.operator}
        className="col-span-2 sm:col-span-1"
        onChange={(event) => {
          const found = offered.find(([name]) => name === event.target.value);
          // The names of an object are not typed; this one came from there.
          if (found) change({ operator: found[0] as Operator });
        }}
      >
        {offered.map(([name, { title }]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </Select>
      {takesValue ? (
        <Input
          aria-label={`Value ${number}`}
          placeholder={row.operator === "in" ? "BR, NG" : "1000"}
          value={row.value}
          className="font-mono"
          onChange={(event) => change({ value: event.target.value })}
        />
      ) : (
        <span className="hidden sm:block" />
      )}
      <IconButton label={`Remove comparison ${number}`} onClick={remove}>
        <Trash2 aria-hidden className="size-4" />
      </IconButton>
    </fieldset>
  );
}
