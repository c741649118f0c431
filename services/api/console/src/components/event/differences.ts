import { Exact, isComposite } from "@/lib/json";

export type Difference = { pointer: string; before: unknown; after: unknown };
export type Differences = { found: Difference[]; more: boolean };

const FOUND_MAX = 200;

/** Where two values differ, by JSON pointer; `undefined` where one of them has nothing. */
export function differencesOf(before: unknown, after: unknown): Differences {
  const found: Difference[] = [];
  compare(before, after, "", found);
  return { found: found.slice(0, FOUND_MAX), more: found.length > FOUND_MAX };
}

function compare(before: unknown, after: unknown, pointer: string, found: Difference[]): void {
  if (isSame(before, after) || found.length > FOUND_MAX) return;
  const [left, right] = [membersOf(before), membersOf(after)];
  if (left === null || right === null || Array.isArray(before) !== Array.isArray(after)) {
    found.push({ pointer, before, after });
    return;
  }
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const step = name.replaceAll("~", "~0").replaceAll("/", "~1");
    compare(left.get(name), right.get(name), `${pointer}/${step}`, found);
  }
}

function isSame(before: unknown, after: unknown): boolean {
  if (before instanceof Exact && after instanceof Exact) return before.source === after.source;
  return Object.is(before, after);
}

function membersOf(value: unknown): Map<string, unknown> | null {
  return isComposite(value) ? new Map(Object.entries(value)) : null;
}
