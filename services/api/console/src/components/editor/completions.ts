import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { syntaxTree } from "@codemirror/language";
import { nameOf } from "./tree";
import { ACTIONS, CHOICES, type Words } from "./words";

type Node = ReturnType<ReturnType<typeof syntaxTree>["resolveInner"]>;
/** The names on the way to a node; of an array only that it is one. */
export type Way = string[];

/** What may stand where the cursor is: an operator, a path, a parameter, a variable. */
export function completeJson(words: () => Words) {
  return (context: CompletionContext): CompletionResult | null => {
    const text = context.state.doc.toString();
    const node = syntaxTree(context.state).resolveInner(context.pos, -1);
    const isName = node.name === "PropertyName";
    if (!isName && node.name !== "String") return bare(context, words());
    if (context.pos <= node.from) return null;
    const before = text.slice(node.from + 1, context.pos);
    const closed = node.to - node.from > 1 && text[node.to - 1] === '"';
    const end = closed ? node.to - 1 : node.to;
    const way = wayTo(text, node);
    const brace = isName || words().kind !== "actions" ? -1 : before.lastIndexOf("{{");
    if (brace >= 0 && !before.slice(brace).includes("}}")) {
      return templates(context, node.from + 1 + brace + 2, text.slice(context.pos, end), words());
    }
    const options = isName ? names(words(), way) : texts(words(), way);
    const hasColon = /^"?\s*:/.test(text.slice(end));
    const apply = isName && !hasColon && closed ? member(end) : undefined;
    return {
      from: node.from + 1,
      to: end,
      options: apply ? options.map((option) => ({ ...option, apply })) : options,
      validFor: /^[^"]*$/,
    };
  };
}

/** A new member gets its colon too. */
function member(end: number): NonNullable<Completion["apply"]> {
  return (view, option, from) => {
    const insert = `${option.label}": `;
    view.dispatch({
      changes: { from, to: Math.max(end, view.state.selection.main.head) + 1, insert },
      selection: { anchor: from + insert.length },
      userEvent: "input.complete",
    });
  };
}

/** Outside of quotes, in a condition: a whole operator. */
function bare(context: CompletionContext, words: Words): CompletionResult | null {
  const word = context.matchBefore(/[A-Za-z_]+/);
  if (words.kind !== "condition" || (!word && !context.explicit)) return null;
  return {
    from: word?.from ?? context.pos,
    options: words.operators.map(({ name, detail, info }) => ({
      label: name,
      detail,
      info,
      apply: name === "var" ? '{"var": ""}' : `{"${name}": [{"var": ""}, ]}`,
    })),
  };
}

function templates(
  context: CompletionContext,
  from: number,
  after: string,
  words: Words,
): CompletionResult {
  const spaces = context.state.sliceDoc(from, context.pos).match(/^\s*/)?.[0].length ?? 0;
  const close = /^\s*\}\}/.test(after) ? "" : " }}";
  return {
    from: from + spaces,
    options: words.templates.map(({ path, seen }) => ({
      label: path,
      detail: seen,
      apply: `${spaces === 0 ? " " : ""}${path}${close}`,
    })),
    validFor: /^[\w.-]*$/,
  };
}

function names(words: Words, way: Way): Completion[] {
  if (words.kind === "condition") {
    return words.operators.map(({ name, detail, info }) => ({ label: name, detail, info }));
  }
  if (words.kind !== "actions") return [];
  if (way.length === 0) {
    return [
      { label: "type", detail: "what it does" },
      { label: "key", detail: "stable name; effects are deduped by it" },
      { label: "params", detail: "what it takes" },
    ];
  }
  if (way.at(-1) !== "params" || way.length !== 1) return [];
  const all = Object.values(ACTIONS).flatMap(({ params }) => Object.entries(params));
  return [...new Map(all)].map(([label, detail]) => ({ label, detail }));
}

function texts(words: Words, way: Way): Completion[] {
  const last = way.at(-1);
  if (words.kind === "condition") {
    if (last !== "var" && last !== "missing" && last !== "exists") return [];
    return words.paths.map(({ path, seen }) => ({ label: path, detail: seen }));
  }
  if (words.kind !== "actions" || last === undefined) return [];
  if (last === "type" && way.length === 1) {
    return Object.entries(ACTIONS).map(([label, { does }]) => ({ label, detail: does }));
  }
  if (last === "target") return words.targets.map((label) => ({ label, detail: "target" }));
  if (way.length > 2) return [];
  return (CHOICES[last] ?? []).map((label) => ({ label }));
}

/** The members that a node stands in, outermost first; a name does not stand in itself. */
function wayTo(text: string, node: Node): Way {
  const way: Way = [];
  let from = node.name === "PropertyName" ? node.parent : node;
  for (let at = from?.parent ?? null; at; from = at, at = at.parent) {
    const key = at.name === "Property" ? at.getChild("PropertyName") : null;
    if (key && from && key.from !== from.from) way.unshift(nameOf(text, key));
  }
  return way;
}
