import { isComposite } from "@/lib/json";

const DEPTH_MAX = 5;
const PATHS_MAX = 200;
const SEEN_CHARACTERS = 24;
const HEAD = ["id", "type", "source", "subject", "received_at"];

type Seen = { data: unknown } & Partial<Record<string, unknown>>;
type Path = { path: string; seen: string };

/** The paths of events' data as `var` reads them: data that is no plain object is below event.data. */
export function variables(events: Seen[]): Path[] {
  const found = new Map<string, string>();
  for (const event of events) {
    const plain = isObject(event.data) && !("event" in event.data);
    collect(event.data, plain ? "" : "event.data", found);
    for (const name of HEAD) keep(found, `event.${name}`, event[name]);
  }
  if (events.length === 0) for (const name of HEAD) keep(found, `event.${name}`, undefined);
  return paths(found);
}

/** The variables of templates: `{{ data.amount }}`, `{{ external_id }}`. */
export function templateVariables(events: Seen[]): Path[] {
  const found = new Map<string, string>();
  for (const event of events) collect(event.data, "data", found);
  const [first] = events;
  for (const name of ["external_id", ...HEAD]) keep(found, name, first?.[name]);
  return paths(found);
}

function paths(found: Map<string, string>): Path[] {
  return [...found].map(([path, seen]) => ({ path, seen }));
}

function collect(value: unknown, path: string, found: Map<string, string>, depth = 0): void {
  if (path !== "") keep(found, path, value);
  if (!isObject(value) || depth >= DEPTH_MAX) return;
  for (const [name, inner] of Object.entries(value)) {
    // A name with a dot cannot be reached by a path.
    if (name !== "" && !name.includes("."))
      collect(inner, path ? `${path}.${name}` : name, found, depth + 1);
  }
}

function keep(found: Map<string, string>, path: string, value: unknown): void {
  if (found.has(path) || found.size >= PATHS_MAX) return;
  const text = JSON.stringify(value) ?? "";
  found.set(path, text.length > SEEN_CHARACTERS ? `${text.slice(0, SEEN_CHARACTERS - 1)}…` : text);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return isComposite(value) && !Array.isArray(value);
}

/** Whether a rule's event type takes an event's: exact, payment.* or *. */
export function takesType(pattern: string, type: string): boolean {
  if (pattern === "*") return true;
  return pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
}
