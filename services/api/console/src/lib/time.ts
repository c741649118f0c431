import { useSyncExternalStore } from "react";

const TICK_MS = 1_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The present moment, in steps, from one timer for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { style: "narrow", numeric: "always" });

/** "3s ago", "in 5m": short, and always with its exact moment beside it (see Time). */
export function ago(moment: string, at: number): string {
  const seconds = Math.round((Date.parse(moment) - at) / 1000);
  if (Math.abs(seconds) < 2) return "now";
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(seconds, "second");
}

const local = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "medium",
});
const utc = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "medium",
  timeZone: "UTC",
});

export function exact(moment: string, clock: "local" | "utc"): string {
  const at = new Date(moment);
  return clock === "utc" ? `${utc.format(at)} UTC` : local.format(at);
}

/** Both clocks in one line, for a tooltip. */
export function bothClocks(moment: string): string {
  return `${exact(moment, "local")} · ${exact(moment, "utc")}`;
}

/** A duration for people: 820 µs, 4.2 ms, 1.3 s, 4 min 10 s. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms > 0 && ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}

/** An ISO moment as the value of a datetime-local input, on the clock that the person chose. */
export function toInput(moment: string | undefined, clock: "local" | "utc"): string {
  const at = new Date(moment ?? "");
  if (Number.isNaN(at.getTime())) return "";
  const shift = clock === "utc" ? 0 : at.getTimezoneOffset() * 60_000;
  return new Date(at.getTime() - shift)
    .toISOString()
    .slice(0, 23)
    .replace(/\.000$/, "");
}

/** The other way. A moment that nobody touched keeps its microseconds. */
export function fromInput(text: string, clock: "local" | "utc", before?: string): string {
  if (before !== undefined && text === toInput(before, clock)) return before;
  const at = new Date(clock === "utc" ? `${text}Z` : text);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}
