import { jsonLanguage } from "@codemirror/lang-json";

type Node = ReturnType<typeof jsonLanguage.parser.parse>["topNode"];
/** A place in a JSON text; `exact` is false where only what it would stand in is there. */
export type Range = { from: number; to: number; exact: boolean };
/** One thing that is wrong with a JSON document: where (RFC 6901) and how to mend it. */
export type Diagnostic = { pointer: string; message: string };
/** The same with its place in a text. */
export type Mark = { from: number; to: number; line: number; message: string };

const VALUES = new Set(["Object", "Array", "String", "Number", "True", "False", "Null"]);

/** Where a JSON pointer points at; for what is not there, the nearest thing around it. */
export function rangeOf(text: string, pointer: string): Range {
  let node = valueIn(jsonLanguage.parser.parse(text).topNode);
  if (node === null) return { from: 0, to: text.length, exact: pointer === "" };
  let exact = true;
  for (const part of pointer.split("/").slice(1)) {
    const next = child(text, node, part.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (next === null) {
      exact = false;
      break;
    }
    node = next;
  }
  return { ...shown(node, exact), exact };
}

/** A large value is marked by what stands for it: an operator's name, or the opening bracket. */
function shown(node: Node, exact: boolean): { from: number; to: number } {
  if (node.name !== "Object" && node.name !== "Array") return { from: node.from, to: node.to };
  const members = node.getChildren("Property");
  const name = members[0]?.getChild("PropertyName");
  if (exact && members.length === 1 && name) return { from: name.from, to: name.to };
  return { from: node.from, to: node.from + 1 };
}

function child(text: string, node: Node, name: string): Node | null {
  if (node.name === "Array") {
    if (!/^\d+$/.test(name)) return null;
    return values(node)[Number(name)] ?? null;
  }
  for (const property of node.getChildren("Property").reverse()) {
    const key = property.getChild("PropertyName");
    if (key && nameOf(text, key) === name) return valueIn(property);
  }
  return null;
}

export function nameOf(text: string, node: { from: number; to: number }): string {
  const raw = text.slice(node.from, node.to);
  try {
    return String(JSON.parse(raw));
  } catch {
    return raw.replaceAll('"', "");
  }
}

function values(node: Node): Node[] {
  const found: Node[] = [];
  for (let at = node.firstChild; at; at = at.nextSibling) if (VALUES.has(at.name)) found.push(at);
  return found;
}

function valueIn(node: Node): Node | null {
  return values(node)[0] ?? null;
}

/**
 * What the text itself has wrong: it is no JSON, a member is there twice (only the last would be
 * kept), or a number is not kept exactly by a browser.
 */
export function flawsOf(text: string): Mark[] {
  const found: Mark[] = [];
  const add = (from: number, to: number, message: string) => {
    // One place of broken syntax may be told several times by the parser.
    if (found.at(-1)?.from === from && found.at(-1)?.message === message) return;
    found.push({ from, to, line: lineAt(text, from), message });
  };
  jsonLanguage.parser.parse(text).iterate({
    enter: ({ node, type, from, to }) => {
      if (type.isError) add(from, Math.max(to, from), "This is no JSON: look at commas and quotes");
      if (node.name === "Object")
        for (const [key, message] of twins(text, node)) add(key.from, key.to, message);
      if (node.name === "Number" && !keeps(text.slice(from, to)))
        add(from, to, "A browser would round this number: save such a rule by the API");
    },
  });
  return found.length > 0 || parses(text)
    ? found
    : [{ from: 0, to: text.length, line: 1, message: "This is no JSON" }];
}

function twins(text: string, node: Node): [Node, string][] {
  const seen = new Set<string>();
  const found: [Node, string][] = [];
  for (const property of node.getChildren("Property")) {
    const key = property.getChild("PropertyName");
    if (!key) continue;
    const name = nameOf(text, key);
    if (seen.has(name))
      found.push([key, `${JSON.stringify(name)} is here twice: only one can count`]);
    seen.add(name);
  }
  return found;
}

/** Whole numbers past 2^53 lose their last digits in a browser that cannot write them as they were. */
function keeps(number: string): boolean {
  return (
    JSON.rawJSON !== undefined || !/^-?\d+$/.test(number) || Number.isSafeInteger(Number(number))
  );
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = 0; at < position && at < text.length; at += 1) if (text[at] === "\n") line += 1;
  return line;
}

/** Diagnostics as marks in the present text. */
export function marksOf(text: string, diagnostics: Diagnostic[]): Mark[] {
  return diagnostics.map(({ pointer, message }) => {
    const { from, to } = rangeOf(text, pointer);
    return { from, to, line: lineAt(text, from), message };
  });
}
