import type { Schemas } from "@/lib/api";
import { type Filter, narrows } from "./filter";
import type { Effects, Mode } from "./words";

export type Asked = { mode: Mode; effects: Effects; versions: Record<string, number> };

/** A preview's body. With `before` it means the events that an earlier preview counted. */
export function previewBody(
  filter: Filter,
  asked: Asked,
  before: string | null,
): Schemas["PreviewBody"] {
  return {
    // A preview ends the range at its own moment; to repeat that moment is to mean the same events.
    filter: before === null ? filter : { ...filter, received_before: before },
    mode: asked.mode,
    effects: asked.effects,
    rule_versions: asked.mode === "pinned" ? asked.versions : null,
    events_max: EVENTS_MAX,
    all: !narrows(filter) && before === null,
  };
}

export const EVENTS_MAX = 1_000_000;
