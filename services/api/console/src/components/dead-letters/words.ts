import type { Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";
import type { Search } from "@/lib/search";

export type Letter = Schemas["DeadLetterRow"];
export type Group = Schemas["Group"];
export type Filter = Schemas["LetterFilter"];
export type Stage = NonNullable<Filter["stage"]>;
export const STAGES: Stage[] = ["relay", "consumer", "delivery"];
export const LETTER_STATES = [
  "open",
  "redrive_requested",
  "redriven",
  "discard_requested",
  "discarded",
] as const;
export type LetterState = (typeof LETTER_STATES)[number];

export function isStage(text: string | undefined): text is Stage {
  return STAGES.some((stage) => stage === text);
}

export function isLetterState(text: string | undefined): text is LetterState {
  return LETTER_STATES.some((state) => state === text);
}

/** What did not work, where it got stuck. A delivery that was given up may have arrived. */
export const STUCK: Record<Stage, string> = {
  relay: "not published",
  consumer: "not processed",
  delivery: "delivery given up",
};

export const STAGE_MEANS: Record<Stage, string> = {
  relay: "The relay could not publish it to Kafka.",
  consumer: "The consumer could not process it.",
  delivery: "The dispatcher has given up delivering it.",
};

export const REDRIVE_MEANS: Record<Stage, string> = {
  relay:
    "Each is published to Kafka again, in the order of its key: what waits behind it follows it.",
  consumer:
    "Each record is processed once more with the current rules, in the order of its key. What was applied before is not applied again. One that fails again stays open.",
  delivery:
    "Each is sent again with the same content and the same webhook-id, and its schedule of attempts begins anew. No rule runs again. One that is given up again becomes a new dead letter; one whose target is disabled is skipped.",
};

export const DISCARD_MEANS: Record<Stage, string> = {
  relay: "Each stays unpublished for good, and what waits behind it in its key goes on.",
  consumer: "Each stays unprocessed for good, and what waits behind it in its key goes on.",
  delivery: "Each stays as it is and is not sent. It can still be sent again from its delivery.",
};

export function stageOf(letter: { stage: string }): Stage {
  return isStage(letter.stage) ? letter.stage : "consumer";
}

const UNTYPED = new Map<string | undefined, boolean>([
  ["true", true],
  ["false", false],
]);

/** What a bulk request takes of an address: the state is not in it, it always means open ones. */
export function filterOf(search: Search): Filter {
  return {
    stage: isStage(search.stage) ? search.stage : null,
    event_type: search.event_type ?? null,
    untyped: UNTYPED.get(search.untyped) ?? null,
    topic: search.topic ?? null,
    error_class: search.error_class ?? null,
    event_id: search.event_id ?? null,
    delivery_id: search.delivery_id ?? null,
    destination: search.destination ?? null,
    created_after: search.created_after ?? null,
    created_before: search.created_before ?? null,
  };
}

/** An event type and whether there is one: the one that was chosen last counts. */
export function withoutContradiction(part: Search): Search {
  if (part.event_type) return { ...part, untyped: undefined };
  if (part.untyped) return { ...part, event_type: undefined };
  return part;
}

export function isEmpty(filter: Filter): boolean {
  return Object.values(filter).every((value) => value === null);
}

/** Up to a moment and with it. Times are exact to the microsecond, and the browser's are not. */
export function endingAfter(filter: Filter, moment: string): Filter {
  const end = new Date(Date.parse(moment) + 1).toISOString();
  const before = filter.created_before;
  return before != null && Date.parse(before) <= Date.parse(end)
    ? filter
    : { ...filter, created_before: end };
}

export function searchOf(group: Group): Search {
  return {
    stage: group.stage,
    error_class: group.error_class,
    ...(group.event_type === null ? { untyped: "true" } : { event_type: group.event_type }),
  };
}

export type Preview = Pick<Schemas["Bulk"], "matched" | "by_stage" | "by_error_class">;

export function meantOf(preview: Preview): number {
  return Object.values(preview.by_stage).reduce((sum, one) => sum + one, 0);
}

/** How many are meant of how many that match: what is said before the button is pressed. */
export function countedAs(preview: Preview): string {
  const meant = meantOf(preview);
  if (preview.matched === 0) return "No open dead letter matches.";
  if (meant === preview.matched)
    return meant === 1
      ? "1 open dead letter matches."
      : `${plural(meant, "open dead letter")} match.`;
  return `${count(meant)} of ${count(preview.matched)} open dead letters that match, the oldest first. Run it again for the rest.`;
}
