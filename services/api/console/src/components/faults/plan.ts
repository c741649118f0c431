import type { FaultBody, FaultState, Knob } from "@/lib/faults";

/** What a person has chosen on the page, before it is sent. */
export type Plan = {
  knobs: Partial<Record<Knob, string>>;
  eventType: string;
  percent: string;
  firstN: string;
  maxHits: string;
  ttl: string;
  confirm: boolean;
};

export const TIMES: [string, string][] = [
  ["30", "30 seconds"],
  ["120", "2 minutes"],
  ["300", "5 minutes"],
  ["900", "15 minutes"],
];

/** Kinds after which a process does not go on by itself. */
const HARD = ["hang", "exit", "stop"];

export function planOf(state: FaultState): Plan {
  const first = state.rules[0];
  return {
    knobs: state.knobs,
    eventType: first?.match.event_type ?? "",
    percent: String(first?.match.percent ?? 100),
    firstN: first?.match.first_n ? String(first.match.first_n) : "",
    maxHits: first?.max_hits ? String(first.max_hits) : "",
    ttl: "120",
    confirm: false,
  };
}

/** Which state it is: it is raised when somebody sets faults, and a fault that ends changes it too. */
export function markOf({ version, knobs }: Pick<FaultState, "version" | "knobs">): string {
  return `${version} ${Object.keys(knobs).sort().join(" ")}`;
}

/** Whether a whole service may be ended or frozen, which the api wants to be said twice. */
export function needsConfirm(plan: Plan): boolean {
  const hard = [plan.knobs.breakWorker, plan.knobs.breakConsumer].some((mode) =>
    HARD.includes(mode?.split("@")[0] ?? ""),
  );
  return hard && plan.percent === "100" && plan.firstN === "" && plan.eventType === "";
}

export function bodyOf(plan: Plan): FaultBody {
  const body: FaultBody = { ttl_s: Number(plan.ttl) };
  for (const [knob, mode] of Object.entries(plan.knobs) as [Knob, string][]) {
    body[knob] = knob === "successOnAttempt" || knob === "duplicateEvents" ? Number(mode) : mode;
  }
  const match = {
    ...(plan.eventType ? { event_type: plan.eventType } : {}),
    ...(plan.percent && plan.percent !== "100" ? { percent: Number(plan.percent) } : {}),
    ...(plan.firstN ? { first_n: Number(plan.firstN) } : {}),
  };
  if (Object.keys(match).length > 0) body.match = match;
  if (plan.maxHits) body.max_hits = Number(plan.maxHits);
  if (plan.confirm && needsConfirm(plan)) body.confirm = true;
  return body;
}
