import { useSyncExternalStore } from "react";

/** What a person chose for this browser: theme, single-key shortcuts, how moments are shown. */
export type Prefs = {
  theme: "system" | "light" | "dark";
  shortcuts: boolean;
  clock: "local" | "utc";
};

const NAME = "oncely.prefs";
const DEFAULTS: Prefs = { theme: "system", shortcuts: true, clock: "local" };
const listeners = new Set<() => void>();
const dark = window.matchMedia?.("(prefers-color-scheme: dark)");
let current = load();

function load(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(NAME) ?? "{}") as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

/** Put the theme on the root element; called before the first paint and on every change. */
export function applyTheme(): void {
  const isDark = current.theme === "dark" || (current.theme === "system" && dark?.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

export function setPrefs(change: Partial<Prefs>): void {
  current = { ...current, ...change };
  localStorage.setItem(NAME, JSON.stringify(current));
  applyTheme();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePrefs(): Prefs {
  return useSyncExternalStore(subscribe, () => current);
}

dark?.addEventListener("change", () => {
  applyTheme();
  for (const listener of listeners) listener();
});
