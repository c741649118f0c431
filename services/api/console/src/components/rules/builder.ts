import { Exact, parse } from "@/lib/json";

/** The common form of a condition: some comparisons of a field with a value, all or any of them. */
export type Row = { field: string; operator: Operator; value: string };
export type Simple = { join: "all" | "any"; rows: Row[] };

type Shape = {
  title: string;
  /** Neither true-or-false question takes a value. */
  value: boolean;
  /** Only the default engine has it. */
  datalogic?: boolean;
};

export const OPERATORS = {
  "==": { title: "is", value: true },
  "!=": { title: "is not", value: true },
  ">": { title: "is greater than", value: true },
  ">=": { title: "is at least", value: true },
  "<": { title: "is less than", value: true },
  "<=": { title: "is at most", value: true },
  in: { title: "is one of", value: true },
  contains: { title: "contains", value: true },
  starts_with: { title: "begins with", value: true, datalogic: true },
  ends_with: { title: "ends with", value: true, datalogic: true },
  "!!": { title: "is there and not empty", value: false },
  "!": { title: "is missing or empty", value: false },
} as const satisfies Record<string, Shape>;
export type Operator = keyof typeof OPERATORS;

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** 12 is a number, true is true, and everything else is a text; quotes make a text of anything. */
export function readValue(text: string): unknown {
  const typed = text.trim();
  if (typed === "true" || typed === "false" || typed === "null") return JSON.parse(typed);
  if (NUMBER.test(typed)) return parse(typed);
  if (/^".*"$/s.test(typed)) {
    try {
      return JSON.parse(typed);
    } catch {
      return text;
    }
  }
  return text;
}

export function writeValue(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return readValue(value) === value && value === value.trim() && value !== ""
    ? value
    : JSON.stringify(value);
}

export function toCondition({ join, rows }: Simple): unknown {
  const parts = rows.map(condition);
  const [only] = parts;
  if (parts.length === 0) return true;
  return parts.length === 1 ? only : { [join === "all" ? "and" : "or"]: parts };
}

function condition({ field, operator, value }: Row): unknown {
  const read = { var: field };
  if (!OPERATORS[operator].value) return { [operator]: read };
  if (operator === "contains") return { in: [readValue(value), read] };
  if (operator === "in") return { in: [read, list(value)] };
  return { [operator]: [read, readValue(value)] };
}

/** Commas part a list, but for those within quotes. */
function list(text: string): unknown[] {
  const parts = text.match(/\s*"(?:\\.|[^"\\])*"\s*(?=,|$)|[^,]+/g) ?? [];
  return parts.map((part) => readValue(part.trim()));
}

/** The simple form of a condition, or null where it says more than the builder can show. */
export function fromCondition(value: unknown): Simple | null {
  if (value === true) return { join: "all", rows: [] };
  const [name, argument] = only(value);
  if ((name === "and" || name === "or") && Array.isArray(argument) && argument.length > 1) {
    const rows = argument.map(row);
    const known = rows.filter((each) => each !== null);
    return known.length < rows.length
      ? null
      : { join: name === "and" ? "all" : "any", rows: known };
  }
  const single = row(value);
  return single && { join: "all", rows: [single] };
}

function row(value: unknown): Row | null {
  const [name, argument] = only(value);
  if (name === "!" || name === "!!") {
    const field = fieldOf(
      Array.isArray(argument) && argument.length === 1 ? argument[0] : argument,
    );
    return field === null ? null : { field, operator: name, value: "" };
  }
  if (!Array.isArray(argument) || argument.length !== 2) return null;
  const [left, right] = argument;
  const field = fieldOf(left);
  if (name === "in" && field === null) {
    const within = fieldOf(right);
    if (within === null || !isScalar(left)) return null;
    return { field: within, operator: "contains", value: writeValue(left) };
  }
  if (field === null || !isOperator(name)) return null;
  if (name === "in") {
    if (!Array.isArray(right) || right.length === 0 || !right.every(isScalar)) return null;
    return { field, operator: name, value: right.map(listed).join(", ") };
  }
  if (!isScalar(right)) return null;
  return { field, operator: name, value: writeValue(right) };
}

function listed(value: unknown): string {
  const text = writeValue(value);
  return typeof value === "string" && value.includes(",") && text === value
    ? JSON.stringify(value)
    : text;
}

function only(value: unknown): [string, unknown] | [null, null] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [null, null];
  const [first, ...others] = Object.entries(value);
  return first && others.length === 0 ? first : [null, null];
}

function fieldOf(value: unknown): string | null {
  const [name, argument] = only(value);
  return name === "var" && typeof argument === "string" && argument !== "" ? argument : null;
}

function isOperator(name: string | null): name is Operator {
  return name !== null && name !== "contains" && name in OPERATORS;
}

function isScalar(value: unknown): boolean {
  if (value === null || value instanceof Exact) return true;
  return ["string", "number", "boolean"].includes(typeof value);
}
