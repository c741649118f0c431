import { describe, expect, it } from "vitest";
import { Problem } from "@/lib/api";
import { parse, stringify } from "@/lib/json";
import { bodyOf, draftOf, flawOf, readSchema, schemaFlaws } from "./form";

const TYPE = {
  type: "payment.completed",
  defaults: false,
  seen: true,
  key_policy: "wait",
  retry_limit: 10,
  processing_timeout_ms: 1_500,
  has_schema: true,
  topic: null,
  retention_days: null,
  revision: 3,
  created_at: null,
  updated_at: null,
  schema: { type: "object" },
} as const;

describe("a type's form", () => {
  it("that nobody touched sends what was there", () => {
    const draft = draftOf(TYPE);
    const schema = readSchema(draft.schema);
    expect(bodyOf(draft, "value" in schema && schema.value)).toEqual({
      key_policy: "wait",
      retry_limit: 10,
      processing_timeout_ms: 1_500,
      schema: { type: "object" },
      topic: null,
      retention_days: null,
    });
  });

  it("that changes only the retries writes the schema's numbers as they were stored", () => {
    const text = '{"maximum":9007199254740993,"minimum":1.0}';
    const draft = { ...draftOf({ ...TYPE, schema: parse(text) }), retry_limit: "3" };
    const schema = readSchema(draft.schema);
    const body = bodyOf(draft, "value" in schema && schema.value);
    expect(stringify(body)).toContain(`"schema":${text}`);
  });

  it("tells no schema from one that cannot be read", () => {
    expect(readSchema("  ")).toEqual({ value: null });
    expect(readSchema("{")).toHaveProperty("flaw");
    expect(readSchema("false")).toEqual({ value: false });
  });

  it("puts each fault of the api where it belongs", () => {
    const problem = new Problem(422, "invalid-request", "", "", [
      { pointer: "/schema/properties/a", detail: "is not a schema" },
      { pointer: "/schema", detail: "too large" },
      { pointer: "/topic", detail: "must be one of events" },
    ]);
    expect(schemaFlaws(problem)).toEqual([
      { pointer: "/properties/a", message: "is not a schema" },
      { pointer: "", message: "too large" },
    ]);
    expect(flawOf(problem, "/topic")).toBe("must be one of events");
  });
});
