import { plural } from "@/lib/format";
import { duration } from "@/lib/time";
import { type Entry, moment, numberOf, type Timeline, textOf } from "./entries";

/** What became of an event, in one or two sentences, as far as its timeline tells. */
export function outcomeOf(timeline: Timeline): string {
  const { entries } = timeline;
  const run = Math.max(0, ...entries.map((entry) => entry.run));
  const latest = entries.filter((entry) => entry.run === run);
  const said = [processing(timeline, latest, run), rules(latest)].filter(Boolean).join("; ");
  const sent = deliveries(entries);
  const more = timeline.cut_off ? " The timeline is cut off: there is more." : "";
  return `${[said, sent].filter(Boolean).join("; ")}.${letters(entries)}${more}`;
}

function processing(timeline: Timeline, latest: Entry[], run: number): string {
  const first = timeline.entries.find(({ kind }) => kind === "applied");
  const applied = latest.find(({ kind }) => kind === "applied");
  if (applied === undefined) {
    const soFar = first && run > 0 ? "Applied once; replay " : run > 0 ? "Replay " : "";
    const words = onItsWay(timeline, latest);
    return run > 0 ? `${soFar}${run}: ${words.toLowerCase()}` : words;
  }
  const root = latest.find(({ key }) => key === `run/${run}`);
  const after = duration(moment(applied.at) - moment(root?.at ?? timeline.received_at));
  const failures = latest.filter(({ kind, outcome }) => kind === "attempt" && outcome === "failed");
  const tries = failures.length > 0 ? ` and ${plural(failures.length, "failed attempt")}` : "";
  return run === 0
    ? `Applied once, ${after} after it was received${tries}`
    : `Replay ${run} was applied once, ${after} after it was asked for${tries}`;
}

function onItsWay(timeline: Timeline, latest: Entry[]): string {
  const has = (kind: Entry["kind"]) => latest.some((entry) => entry.kind === kind);
  const failures = latest.filter(({ kind, outcome }) => kind === "attempt" && outcome === "failed");
  const why = failures.map((entry) => textOf(entry, "error_class")).at(-1);
  const times = plural(failures.length, "attempt");
  if (timeline.status === "failed") return `Given up after ${times}${why ? `: ${why}` : ""}`;
  if (failures.length > 0) {
    const next = has("waiting") ? ", another one is planned" : "";
    return `Not applied yet: ${times} failed (${why})${next}`;
  }
  if (has("parked")) return "Not published: the broker refuses the record";
  if (has("discarded")) return "Discarded before it was published";
  if (has("waiting")) return "Waiting behind an earlier event of its key";
  return has("published")
    ? "Published, waiting for a consumer"
    : "Accepted, waiting to be published";
}

/** Of the last attempt: what an earlier one said was rolled back with it. */
function rules(latest: Entry[]): string {
  if (!latest.some(({ kind }) => kind === "applied")) return "";
  const attempt = latest.findLast(({ kind }) => kind === "attempt");
  const below = latest.filter(({ parent }) => parent === attempt?.key);
  const said = below.filter(({ kind, detail }) => kind === "rule" && detail?.shadow !== true);
  const failed = said.filter(({ outcome }) => outcome === "failed").length;
  const skipped = below.find(({ kind }) => kind === "rules_skipped");
  const looked = said.length + (skipped ? (numberOf(skipped, "versions") ?? 0) : 0);
  if (looked === 0) return "no rule looked at it";
  const words = `${said.length - failed} of ${plural(looked, "rule")} applied`;
  return failed === 0 ? words : `${words}, ${failed} failed`;
}

const STATES: Record<string, string> = {
  confirmed: "confirmed",
  pending: "not sent yet",
  sending: "under way",
  failed: "failed",
  unknown: "unknown (it may have arrived)",
  skipped: "skipped",
};

function deliveries(entries: Entry[]): string {
  const groups = new Map<string, { kind: string; state: string; count: number; tries: number }>();
  for (const entry of entries) {
    if (entry.kind !== "delivery") continue;
    const kind = textOf(entry, "kind") === "email" ? "e-mail" : "webhook";
    const state = textOf(entry, "state") ?? "";
    const name = `${kind} ${state}`;
    const group = groups.get(name) ?? { kind, state, count: 0, tries: 0 };
    group.count += 1;
    group.tries += numberOf(entry, "attempt_no") ?? 0;
    groups.set(name, group);
  }
  const parts = [...groups.values()].map(({ kind, state, count, tries }) => {
    const after =
      tries > count || (tries > 0 && state !== "confirmed" && state !== "unknown")
        ? ` after ${plural(tries, "attempt")}`
        : "";
    const words = state === "pending" && tries > 0 ? "not confirmed yet" : (STATES[state] ?? state);
    return `${plural(count, kind)} ${words}${after}`;
  });
  return parts.join(", ");
}

function letters(entries: Entry[]): string {
  const open = openLetters(entries).length;
  if (open === 0) return "";
  return open === 1
    ? " A dead letter waits for somebody."
    : ` ${open} dead letters wait for somebody.`;
}

export function openLetters(entries: Entry[]): Entry[] {
  return entries.filter(
    (entry) => entry.kind === "dead_letter" && textOf(entry, "state") === "open",
  );
}
