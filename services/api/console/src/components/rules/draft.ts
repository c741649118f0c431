import type { Diagnostic } from "@/components/editor/JsonEditor";
import { type Fault, Problem, type Schemas } from "@/lib/api";
import { isComposite, parse as parseJson, stringify } from "@/lib/json";

export type Engine = NonNullable<Schemas["RuleBody"]["engine"]>;
export type State = NonNullable<Schemas["RuleBody"]["state"]>;
/** A rule while somebody writes it: its JSON parts stay texts until they are sent. */
export type Draft = {
  name: string;
  event_type: string;
  engine: Engine;
  note: string;
  condition: string;
  actions: string;
};
type Content = Pick<Schemas["RuleVersion"], "event_type" | "condition" | "actions" | "engine">;

/** JSON as people read it: what fits into a line stands in one. */
export function pretty(value: unknown, indent = ""): string {
  const flat = oneLine(value);
  if (flat.length + indent.length <= 72 || !isComposite(value)) return flat;
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((each) => deeper + pretty(each, deeper)).join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value).map(
    ([name, each]) => `${deeper}${JSON.stringify(name)}: ${pretty(each, deeper)}`,
  );
  return `{\n${members.join(",\n")}\n${indent}}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (!isComposite(value)) return stringify(value);
  const members = Object.entries(value).map(
    ([name, each]) => `${JSON.stringify(name)}: ${oneLine(each)}`,
  );
  return `{${members.join(", ")}}`;
}

export function draftOf(
  rule: { name: string },
  version: Content & { note?: string | null },
): Draft {
  return {
    name: rule.name,
    event_type: version.event_type,
    engine: version.engine === "json-logic-qubit" ? "json-logic-qubit" : "datalogic",
    note: "",
    condition: pretty(version.condition),
    actions: pretty(version.actions),
  };
}

export type Parsed = { ok: true; value: unknown } | { ok: false };

export function parse(text: string): Parsed {
  try {
    return { ok: true, value: parseJson(text) };
  } catch {
    return { ok: false };
  }
}

/** The two JSON parts of a draft, or null while one of them is no JSON. */
export function partsOf(
  draft: Draft,
): { condition: unknown; actions: Schemas["ActionBody"][] } | null {
  const condition = parse(draft.condition);
  const actions = parse(draft.actions);
  if (!condition.ok || !actions.ok) return null;
  // What was typed may be anything: the api looks at it and points at what is wrong.
  return { condition: condition.value, actions: actions.value as Schemas["ActionBody"][] };
}

/** What a version says, as a text whose lines can be compared. */
export function textOf(
  content: Content | (Draft & { condition: string; actions: string }),
  name?: string,
): string {
  const of = (value: unknown) => {
    const parsed = typeof value === "string" ? parse(value) : null;
    return parsed?.ok ? parsed.value : value;
  };
  const isDraft = "name" in content;
  const { event_type, engine } = content;
  return pretty({
    ...(name === undefined ? {} : { name }),
    event_type,
    condition: isDraft ? of(content.condition) : content.condition,
    actions: isDraft ? of(content.actions) : content.actions,
    engine,
  });
}

export type Flaws = {
  condition: Diagnostic[];
  actions: Diagnostic[];
  event: Diagnostic[];
  fields: Record<string, string>;
  rest: Fault[];
};

/** The flaws that the api pointed at, each to where it can be mended. */
export function splitFaults(...errors: unknown[]): Flaws {
  const found: Flaws = { condition: [], actions: [], event: [], fields: {}, rest: [] };
  const seen = new Set<string>();
  for (const error of errors) {
    for (const fault of error instanceof Problem ? error.faults : []) {
      const id = `${fault.pointer} ${fault.detail}`;
      if (seen.has(id)) continue;
      seen.add(id);
      place(found, fault);
    }
  }
  return found;
}

function place(found: Flaws, fault: Fault): void {
  const [, first = "", ...rest] = (fault.pointer ?? "").split("/");
  const below = { pointer: rest.map((part) => `/${part}`).join(""), message: fault.detail };
  if (first === "condition") found.condition.push(below);
  else if (first === "actions" || first === "action") found.actions.push(below);
  else if (first === "event" && rest[0] === "data")
    found.event.push({
      ...below,
      pointer: rest
        .slice(1)
        .map((part) => `/${part}`)
        .join(""),
    });
  else if (["name", "event_type", "engine", "note"].includes(first) && rest.length === 0)
    found.fields[first] = fault.detail;
  else found.rest.push(fault);
}

export function isStale(error: unknown): boolean {
  return error instanceof Problem && error.slug === "stale-version";
}
