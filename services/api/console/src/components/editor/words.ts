/** What an editor can offer while somebody types; the caller fills it from the api. */
export type Words = {
  kind: "condition" | "actions" | "payload";
  operators: { name: string; detail: string; info: string }[];
  /** Paths of the event's data as `var` reads them, each with a value that was seen. */
  paths: { path: string; seen: string }[];
  /** Variables of templates, such as data.amount. */
  templates: { path: string; seen: string }[];
  targets: string[];
};

export const NO_WORDS: Words = {
  kind: "payload",
  operators: [],
  paths: [],
  templates: [],
  targets: [],
};

/** What each kind of action takes, and what it does. */
export const ACTIONS: Record<string, { does: string; params: Record<string, string> }> = {
  log: {
    does: "writes a line to the log",
    params: { message: "text with variables", level: "info or warning" },
  },
  noop: { does: "does nothing; the match is recorded", params: {} },
  call_webhook: {
    does: "sends a request",
    params: {
      target: "name of a target; or url",
      url: "address; or target",
      method: "POST by default",
      headers: "object of texts",
      body: "JSON with variables",
    },
  },
  send_email: {
    does: "sends a mail",
    params: { to: "address, or a list of them", subject: "one line", body: "text with variables" },
  },
};

export const CHOICES: Record<string, string[]> = {
  type: Object.keys(ACTIONS),
  method: ["POST", "PUT", "PATCH", "GET", "DELETE"],
  level: ["info", "warning"],
};

const OPERATORS: Record<string, string> = {
  var: "A value of the event; a second argument is the default.",
  missing: "The names of those that the event does not have.",
  missing_some: "The missing names, unless at least that many are there.",
  if: "if, then, else if, then, …, else.",
  "?:": "if, then, else.",
  "==": "The same; a number and its text count as the same.",
  "===": "The same, and of the same kind.",
  "!=": "Not the same.",
  "!==": "Not the same, or of another kind.",
  "!": "True becomes false.",
  "!!": "True unless empty, 0, false or null.",
  or: "The first that is true.",
  and: "All are true.",
  ">": "Greater.",
  ">=": "Greater or the same.",
  "<": "Less; with three arguments: between.",
  "<=": "Less or the same; with three arguments: between, ends included.",
  max: "The greatest.",
  min: "The least.",
  "+": "The sum.",
  "-": "The difference; with one argument: the negative.",
  "*": "The product.",
  "/": "The quotient.",
  "%": "The rest of a division.",
  map: "Each element, changed.",
  reduce: "One value from all elements: current and accumulator.",
  filter: "The elements for which it holds.",
  all: "It holds for each element.",
  none: "It holds for no element.",
  some: "It holds for at least one element.",
  merge: "Arrays joined to one.",
  in: "The first is in the second: an element of an array, or a part of a text.",
  cat: "Texts joined.",
  substr: "A part of a text: from, length.",
  starts_with: "The first text begins with the second.",
  ends_with: "The first text ends with the second.",
  upper: "In upper case.",
  lower: "In lower case.",
  trim: "Without spaces at the ends.",
  length: "How many characters or elements.",
  abs: "Without its sign.",
  ceil: "Rounded up.",
  floor: "Rounded down.",
  exists: "The event has it.",
  "??": "The first that is not null.",
};

type Row = { name: string; arguments_min: number; arguments_max: number | null; engines: string[] };

/** The api says which operators there are and how many arguments they take; the words are ours. */
export function operatorWords(rows: Row[], engine: string): Words["operators"] {
  return rows
    .filter((row) => row.engines.includes(engine))
    .map((row) => ({ name: row.name, detail: takes(row), info: OPERATORS[row.name] ?? "" }));
}

function takes({ arguments_min: least, arguments_max: most }: Row): string {
  if (most === null) return `${least} or more arguments`;
  if (most === least) return `${least} ${least === 1 ? "argument" : "arguments"}`;
  return `${least} to ${most} arguments`;
}
