import { Problem, type Schemas } from "@/lib/api";
import { parse } from "@/lib/json";

type EventType = Schemas["EventType"];
export type Draft = {
  key_policy: EventType["key_policy"];
  retry_limit: string;
  timeout_seconds: string;
  topic: string;
  retention_days: string;
  schema: string;
};

export function draftOf(type: EventType): Draft {
  return {
    key_policy: type.key_policy,
    retry_limit: String(type.retry_limit),
    timeout_seconds: String(type.processing_timeout_ms / 1000),
    topic: type.topic ?? "",
    retention_days: type.retention_days === null ? "" : String(type.retention_days),
    schema: type.schema === null ? "" : JSON.stringify(type.schema, null, 2),
  };
}

/** The body of a PUT, which sets a type whole. The schema's text was parsed by whoever calls. */
export function bodyOf(draft: Draft, schema: unknown): Schemas["EventTypeBody"] {
  return {
    key_policy: draft.key_policy,
    retry_limit: Number(draft.retry_limit),
    processing_timeout_ms: Math.round(Number(draft.timeout_seconds) * 1000),
    schema,
    topic: draft.topic.trim() || null,
    retention_days: draft.retention_days === "" ? null : Number(draft.retention_days),
  };
}

/** A schema's text, or why it is none. Empty means: whatever is JSON is taken. */
export function readSchema(text: string): { value: unknown } | { flaw: string } {
  if (text.trim() === "") return { value: null };
  try {
    return { value: parse(text) };
  } catch (error) {
    return { flaw: error instanceof Error ? error.message : String(error) };
  }
}

/** What the api said of one field. */
export function flawOf(error: unknown, pointer: string): string | undefined {
  if (!(error instanceof Problem)) return undefined;
  return error.faults.find((fault) => fault.pointer === pointer)?.detail;
}

/** What it said of places in the schema, with pointers into the schema's own text. */
export function schemaFlaws(error: unknown): { pointer: string; message: string }[] {
  if (!(error instanceof Problem)) return [];
  return error.faults.flatMap(({ pointer, detail }) =>
    pointer === "/schema" || pointer?.startsWith("/schema/")
      ? [{ pointer: pointer.slice("/schema".length), message: detail }]
      : [],
  );
}
