declare global {
  interface JSON {
    /** Chromium, Firefox 135 and Safari 18.4 have it; TypeScript's library has no word of it yet. */
    rawJSON?: (text: string) => unknown;
  }
}

/**
 * A number of somebody's data that JavaScript would write otherwise: 9007199254740993, 1.0, -0. It is
 * shown, compared, copied and sent as it was stored. It is no number to calculate with.
 */
export class Exact {
  constructor(readonly source: string) {}

  toJSON(): unknown {
    return JSON.rawJSON?.(this.source) ?? Number(this.source);
  }

  toString(): string {
    return this.source;
  }
}

/** Like JSON.parse, and no number is changed where the browser tells how it was written. */
export function parse(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined || JSON.rawJSON === undefined)
      return value;
    return String(value) === source ? value : new Exact(source);
  });
}

// Where an answer of the api has what somebody else wrote. No number of the api's own is below them.
const FOREIGN = new Set([
  "data",
  "body",
  "condition",
  "actions",
  "params",
  "before",
  "after",
  "expression",
  "schema",
  "value",
]);

/** An answer of the api: its own numbers are for calculating, those in foreign data stay exact. */
export function parseAnswer(text: string): unknown {
  return settle(parse(text));
}

function settle(value: unknown): unknown {
  if (value instanceof Exact) return Number(value.source);
  if (!isComposite(value)) return value;
  const members = value as Record<string, unknown>;
  for (const [name, each] of Object.entries(members)) {
    if (!FOREIGN.has(name) && typeof each === "object") members[name] = settle(each);
  }
  return value;
}

/** The text of a value; never undefined. */
export function stringify(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent) ?? "null";
}

/** An object or an array: what has members of its own. */
export function isComposite(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Exact);
}
