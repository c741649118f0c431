import type { Document, Schema } from "./openapi";

const REF = "#/components/schemas/";
const HOPS_MAX = 10;
const SAMPLE_DEPTH_MAX = 5;

/** What a schema says once its references are followed, and the names that were met on the way. */
export function resolve(
  document: Document,
  schema: Schema,
): { schema: Schema; names: string[]; nullable: boolean } {
  const names: string[] = [];
  let nullable = false;
  let found = schema;
  for (let hop = 0; hop < HOPS_MAX; hop++) {
    if (found.$ref !== undefined) {
      const name = found.$ref.replace(REF, "");
      names.push(name);
      found = document.components.schemas[name] ?? {};
      continue;
    }
    // "this or null" is how both generators write an optional value: said as one word, not a branch.
    const branches = found.anyOf ?? found.oneOf;
    const rest = branches?.filter((one) => one.type !== "null");
    if (branches === undefined || rest?.length !== 1 || rest.length === branches.length) break;
    const { anyOf: _any, oneOf: _one, ...around } = found;
    found = { ...around, ...rest[0] };
    nullable = true;
  }
  if (Array.isArray(found.type) && found.type.includes("null")) {
    nullable = true;
    const types = found.type.filter((type) => type !== "null");
    found = { ...found, type: types.length === 1 ? types[0] : types };
  }
  return { schema: found, names, nullable };
}

/** A schema's type in a few words: "array of integer", "text (uuid)", "one of wait, pass". */
export function kindOf(document: Document, given: Schema, depth = 0): string {
  const { schema, names, nullable } = resolve(document, given);
  const or = nullable ? " or null" : "";
  if (schema.const !== undefined) return `${JSON.stringify(schema.const)}${or}`;
  if (schema.enum) return `one of ${schema.enum.filter((one) => one !== null).join(", ")}${or}`;
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches && depth < 2)
    return branches.map((one) => kindOf(document, one, depth + 1)).join(", or ") + or;
  if (schema.type === "array")
    return `array of ${schema.items && depth < 3 ? kindOf(document, schema.items, depth + 1) : "anything"}${or}`;
  if (schema.type === "object" || schema.properties)
    return `${names.at(-1) ?? schema.title ?? "object"}${or}`;
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type;
  return `${type ?? "anything"}${schema.format ? ` (${schema.format})` : ""}${or}`;
}

/** What else holds of a value: bounds, pattern, default. */
export function boundsOf(document: Document, given: Schema): string[] {
  const schema = { ...given, ...resolve(document, given).schema };
  const said: string[] = [];
  const range = (least: number | undefined, most: number | undefined, what: string) => {
    if (least !== undefined && most !== undefined) said.push(`${least} to ${most}${what}`);
    else if (least !== undefined) said.push(`at least ${least}${what}`);
    else if (most !== undefined) said.push(`at most ${most}${what}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (schema.pattern) said.push(`matches ${schema.pattern}`);
  if (schema.default !== undefined && schema.default !== null)
    said.push(`default ${JSON.stringify(schema.default)}`);
  return said;
}

export type Child = { name: string; schema: Schema; required: boolean };

/** What a reader may open below a schema. */
export function childrenOf(document: Document, given: Schema): Child[] {
  const { schema } = resolve(document, given);
  if (schema.type === "array" && schema.items) {
    return childrenOf(document, schema.items);
  }
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) {
    return branches
      .filter((one) => childrenOf(document, one).length > 0)
      .map((one) => ({ name: kindOf(document, one), schema: one, required: false }));
  }
  const own = Object.entries(schema.properties ?? {}).map(([name, one]) => ({
    name,
    schema: one,
    required: schema.required?.includes(name) ?? false,
  }));
  const more = schema.additionalProperties;
  if (typeof more === "object" && Object.keys(more).length > 0)
    own.push({ name: "any other name", schema: more, required: false });
  return own;
}

const TEXTS: Record<string, string> = {
  uuid: "01a203bb-9a8b-7cde-8f01-23456789abcd",
  "date-time": "2026-11-22T10:00:00Z",
  uri: "https://example.com/hook",
};

/** A value that has the schema's shape: required members, and those that have a value to show. */
export function sample(document: Document, given: Schema, depth = 0): unknown {
  const { schema, nullable } = resolve(document, given);
  const shown = given.examples?.[0] ?? schema.examples?.[0];
  if (shown !== undefined) return shown;
  if (schema.const !== undefined) return schema.const;
  if (given.default !== undefined && given.default !== null) return given.default;
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (depth >= SAMPLE_DEPTH_MAX) return nullable ? null : {};
  const branch = (schema.anyOf ?? schema.oneOf)?.[0];
  if (branch) return sample(document, branch, depth + 1);
  if (schema.type === "array")
    return schema.items ? [sample(document, schema.items, depth + 1)] : [];
  if (schema.type === "object" || schema.properties) {
    const names = schema.required ?? [];
    return Object.fromEntries(
      Object.entries(schema.properties ?? {})
        .filter(([name]) => names.includes(name))
        .map(([name, one]) => [name, sample(document, one, depth + 1)]),
    );
  }
  if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 1;
  if (schema.type === "boolean") return true;
  if (schema.type === "string") return TEXTS[schema.format ?? ""] ?? "text";
  return schema.type === undefined ? {} : null;
}
