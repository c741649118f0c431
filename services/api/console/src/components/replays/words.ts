import type { Schemas } from "@/lib/api";
import { count } from "@/lib/format";

export type Job = Schemas["ReplayJob"];
export type Mode = Job["mode"];
export type Effects = Job["effects"];
export type Verdict = Schemas["JobEventRow"]["verdict"];

export const MODES: Record<Mode, [string, string]> = {
  current: ["Rules as they are now", "Each event is evaluated with the published versions."],
  original: [
    "Rules of the first run",
    "Exactly the versions and the engine that each event met first; differences are reported.",
  ],
  pinned: ["Versions that I name", "Only these versions are evaluated, and no other rule."],
};

export const EFFECTS: Record<Effects, [string, string]> = {
  dedupe: [
    "Send nothing twice",
    "What was sent stays sent. Only what was never sent goes out, for example of a new rule.",
  ],
  none: ["Send nothing", "Rules are evaluated and compared; no webhook, no e-mail."],
  force: [
    "Send again",
    "Receivers get what they have had already, under new ids: they cannot tell that it is the same.",
  ],
};

export const VERDICTS: Record<Verdict, string> = {
  identical: "The same versions gave the same results as in the first run.",
  diverged: "Versions or results differ from the first run.",
  first: "This was the first run of the event that was applied: there is nothing to compare.",
  not_applied: "This run was not applied, or not yet.",
};

/** A number of a preview that did not look at the whole range is a lower bound. */
export function atLeast({ exact }: Pick<Schemas["Preview"], "exact">, number: number): string {
  if (exact) return count(number);
  return number === 0 ? "none so far" : `at least ${count(number)}`;
}

/** What steps a job's state still allows; the api refuses the others. */
export const STEPS: Record<Job["state"], { pause?: true; resume?: true; cancel?: true }> = {
  queued: { pause: true, cancel: true },
  running: { pause: true, cancel: true },
  paused: { resume: true, cancel: true },
  done: {},
  cancelled: {},
  failed: {},
};

export const STATES: Job["state"][] = [
  "queued",
  "running",
  "paused",
  "done",
  "cancelled",
  "failed",
];

export function isOver(job: Pick<Job, "state">): boolean {
  return !STEPS[job.state].cancel;
}
