import type { Schemas } from "@/lib/api";
import { plural } from "@/lib/format";

export type Timeline = Schemas["Timeline"];
export type Entry = Schemas["Entry"];

/** An entry with its place on the time axis, in milliseconds after the first one. */
export type Step = {
  entry: Entry;
  start: number;
  end: number;
  /** It spans what is below it, e.g. a delivery its attempts; it says nothing about being busy. */
  envelope: boolean;
  /** It has not ended yet. */
  open: boolean;
};
export type Steps = { steps: Step[]; origin: number };

/** A moment in milliseconds with its microseconds, which Date drops. */
export function moment(text: string): number {
  const micros = /\.\d{3}(\d{1,3})/.exec(text)?.[1] ?? "";
  return Date.parse(text) + Number(micros.padEnd(3, "0")) / 1000;
}

export function textOf(entry: Entry, name: string): string | null {
  const value = entry.detail?.[name];
  return typeof value === "string" ? value : null;
}

export function numberOf(entry: Entry, name: string): number | null {
  const value = entry.detail?.[name];
  return typeof value === "number" ? value : null;
}

/** Every entry below the one that it belongs to, with its span. The api's order of time is kept. */
export function stepsOf(timeline: Timeline): Steps {
  const entries = inTreeOrder(timeline.entries);
  const origin = Math.min(...entries.map((entry) => spanOf(entry)[0]));
  const steps = entries.map((entry): Step => {
    const [start, end] = spanOf(entry);
    const envelope = entry.kind === "delivery";
    const open = envelope && entry.duration_ms == null;
    return { entry, start: start - origin, end: end - origin, envelope, open };
  });
  return { steps: steps.map((step) => (step.open ? stretch(step, steps) : step)), origin };
}

function inTreeOrder(entries: Entry[]): Entry[] {
  const keys = new Set(entries.map((entry) => entry.key));
  const below = new Map<string | null, Entry[]>();
  for (const entry of entries) {
    const parent = entry.parent !== null && keys.has(entry.parent) ? entry.parent : null;
    const siblings = below.get(parent);
    if (siblings) siblings.push(entry);
    else below.set(parent, [entry]);
  }
  const found: Entry[] = [];
  const visit = (key: string | null) => {
    for (const entry of below.get(key) ?? []) {
      found.push(entry);
      visit(entry.key);
    }
  };
  visit(null);
  return found;
}

/** `at` is the end of what has a duration, but for a delivery, which is told when it was made. */
function spanOf(entry: Entry): [number, number] {
  const at = moment(entry.at);
  const took = Math.max(0, entry.duration_ms ?? 0);
  return entry.kind === "delivery" ? [at, at + took] : [at - took, at];
}

/** What has not ended reaches to the last thing that is known of it. */
function stretch(step: Step, steps: Step[]): Step {
  const ends = steps.filter(({ entry }) => entry.parent === step.entry.key).map(({ end }) => end);
  return { ...step, end: Math.max(step.end, ...ends) };
}

/** An entry in a few words, and what tells it from others of its kind. */
export function wordsOf(entry: Entry): { name: string; more: string } {
  const text = (name: string) => textOf(entry, name) ?? "";
  const number = (name: string) => numberOf(entry, name);
  const place = () => `${text("topic")} / ${number("kafka_partition")} / ${number("kafka_offset")}`;
  switch (entry.kind) {
    case "accepted": {
      const times = number("received_count") ?? 1;
      return { name: "Accepted", more: times > 1 ? `received ${times} times` : "" };
    }
    case "receipt":
      return { name: "Refused", more: "another payload under this id" };
    case "replay":
      return { name: `Replay ${entry.run}`, more: `${text("mode")} rules, ${text("effects")}` };
    case "outbox":
      return { name: "Outbox row", more: text("topic") };
    case "published":
      return { name: "Published", more: place() };
    case "parked":
    case "discarded":
      return { name: entry.kind === "parked" ? "Parked" : "Discarded", more: text("error") };
    case "attempt":
      return {
        name: `Processing${entry.outcome === "failed" ? " failed" : ""}`,
        more: [`attempt ${number("attempt_no")}`, text("error_class") || text("consumer")].join(
          ", ",
        ),
      };
    case "rule":
      return { name: text("rule_name") || "Rule", more: ruleWords(entry) };
    case "rules_skipped":
      return { name: "Did not match", more: plural(number("versions") ?? 0, "rule") };
    case "applied":
      return { name: "Applied, once", more: place() };
    case "ledger":
      return { name: "Booked", more: "ledger entries" };
    case "settled":
      return { name: "Order settled", more: "" };
    case "dropped":
      return { name: "Duplicate dropped", more: `${text("verdict")}, ${place()}` };
    case "delivery":
      return {
        name: `${text("kind") === "email" ? "E-mail" : "Webhook"} ${text("action_key")}`,
        more: `${text("state")}, ${text("target_name") || text("destination")}`,
      };
    case "delivery_attempt":
      return { name: `Attempt ${number("attempt_no")}`, more: answerWords(entry) };
    case "delivery_sending":
      return { name: "Being sent", more: "" };
    case "delivery_closed":
      return { name: "Closed", more: "" };
    case "dead_letter":
      return { name: "Dead letter", more: `${text("error_class")}, ${text("state")}` };
    case "dead_letter_resolved":
      return { name: `Dead letter ${text("state").replaceAll("_", " ")}`, more: "" };
    case "waiting":
      return { name: "Waits", more: entry.title };
    case "delivery_planned":
      return { name: "Next attempt", more: "planned" };
  }
}

function ruleWords(entry: Entry): string {
  const version = `v${numberOf(entry, "version")}`;
  const shadow = entry.detail?.shadow === true ? ", in shadow" : "";
  return `${version} ${textOf(entry, "result") ?? ""}${shadow}`;
}

function answerWords(entry: Entry): string {
  const outcome = textOf(entry, "outcome") ?? "";
  const answer = numberOf(entry, "status_code") ?? textOf(entry, "error_class");
  return answer === null ? outcome : `${outcome}, ${answer}`;
}
