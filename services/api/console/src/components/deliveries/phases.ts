import type { Schemas } from "@/lib/api";

type Phases = Schemas["Phases"];
export type Part = { name: string; ms: number; look: string };

const NAMES: [keyof Phases, string, string][] = [
  ["dns_ms", "DNS", "bg-info"],
  ["connect_ms", "connect", "bg-accent"],
  ["tls_ms", "TLS", "bg-warn"],
  ["first_byte_ms", "first byte", "bg-ok"],
];
const NOTICED_MS = 0.05;

/** The parts of an attempt that happened, and what the whole took beyond them. */
export function partsOf(phases: Phases): Part[] {
  const parts = NAMES.flatMap(([key, name, look]) => {
    const ms = phases[key];
    return ms === null ? [] : [{ name, ms, look }];
  });
  const known = parts.reduce((sum, part) => sum + part.ms, 0);
  const rest = (phases.total_ms ?? known) - known;
  if (rest <= NOTICED_MS) return parts;
  const name = parts.length === 0 ? "until it failed" : "rest";
  return [...parts, { name, ms: rest, look: "bg-edge" }];
}

export function totalOf(phases: Phases): number {
  return phases.total_ms ?? partsOf(phases).reduce((sum, part) => sum + part.ms, 0);
}
