import { useSyncExternalStore } from "react";
import { type EventFilters, NAMES, queryOf } from "./filters";

/** Filters that a person keeps in this browser, by name. */
export type Saved = { name: string; query: string };

const KEY = "oncely.events.filters";
export const SAVED_MAX = 20;
export const NAME_MAX = 60;
const listeners = new Set<() => void>();
let current = read();

function read(): Saved[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter(isSaved).slice(0, SAVED_MAX) : [];
  } catch {
    return [];
  }
}

function isSaved(value: unknown): value is Saved {
  const found = value as Partial<Saved> | null;
  return typeof found?.name === "string" && typeof found.query === "string";
}

function write(next: Saved[]): void {
  current = next;
  localStorage.setItem(KEY, JSON.stringify(next));
  for (const listener of listeners) listener();
}

/** The same name again replaces what it had. */
export function save(name: string, filters: EventFilters): void {
  const others = current.filter((each) => each.name !== name);
  write([...others, { name, query: queryOf(filters) }].slice(-SAVED_MAX));
}

export function forget(name: string): void {
  write(current.filter((each) => each.name !== name));
}

export function filtersOf({ query }: Saved): EventFilters {
  const params = new URLSearchParams(query);
  const found: EventFilters = {};
  for (const name of NAMES) {
    const value = params.get(name);
    if (value) found[name] = value;
  }
  return found;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSaved(): Saved[] {
  return useSyncExternalStore(subscribe, () => current);
}
