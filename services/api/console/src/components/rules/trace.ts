import type { Schemas } from "@/lib/api";
import { isComposite, stringify } from "@/lib/json";

type Step = Schemas["RuleTest"]["trace"][number];
/** One node of a condition with what it gave; without steps it was never looked at. */
export type TraceNode = { pointer: string; text: string; steps: Step[]; children: TraceNode[] };

const INFIX = new Set("== === != !== > >= < <= + - * / % in and or ??".split(" "));
const ROUNDS_SHOWN = 5;

/** A condition as people write it. */
export function written(value: unknown, depth = 0): string {
  if (Array.isArray(value)) return `[${value.map((each) => written(each, 0)).join(", ")}]`;
  if (!isComposite(value)) return stringify(value);
  const [entry] = Object.entries(value);
  if (entry === undefined) return "{}";
  const [name, argument] = entry;
  const operands: unknown[] = Array.isArray(argument) ? argument : [argument];
  if (name === "var") {
    const [path, otherwise] = operands;
    const shown = path === "" ? "this" : typeof path === "string" ? path : written(path);
    return operands.length > 1 ? `${shown} (or ${written(otherwise)})` : shown;
  }
  if (name === "!" || name === "!!") {
    const [operand] = operands;
    return `${name === "!" ? "not " : "is set: "}${written(operand, depth + 1)}`;
  }
  if (INFIX.has(name) && operands.length > 1) {
    const text = operands.map((each) => written(each, depth + 1)).join(` ${name} `);
    return depth > 0 ? `(${text})` : text;
  }
  return `${name}(${operands.map((each) => written(each)).join(", ")})`;
}

/** The condition as a tree, each node with its steps: what has none was skipped, and that is told. */
export function traceTree(condition: unknown, steps: Step[]): TraceNode[] {
  const byPointer = new Map<string, Step[]>();
  for (const step of steps) {
    const found = byPointer.get(step.pointer);
    if (found) found.push(step);
    else byPointer.set(step.pointer, [step]);
  }
  return nodes(condition, "", byPointer);
}

function nodes(value: unknown, pointer: string, steps: Map<string, Step[]>): TraceNode[] {
  if (Array.isArray(value)) {
    return value.flatMap((each, place) => nodes(each, `${pointer}/${place}`, steps));
  }
  if (!isComposite(value)) return [];
  return Object.entries(value)
    .slice(0, 1)
    .map(([name, argument]) => {
      const below = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      return {
        pointer,
        text: written(value),
        steps: steps.get(pointer) ?? [],
        children: name === "var" ? [] : nodes(argument, below, steps),
      };
    });
}

/** What a node gave, round by round where it stood in a loop. */
export function gave(node: TraceNode): string {
  const [first] = node.steps;
  if (first === undefined) return "not looked at";
  if (first.round === null || first.round === undefined) return result(first);
  const shown = node.steps.slice(0, ROUNDS_SHOWN).map(result).join(", ");
  const left = node.steps.length - ROUNDS_SHOWN;
  return left > 0 ? `${shown} and ${left} more rounds` : shown;
}

function result(step: Step): string {
  if (step.error) return step.error;
  const text = JSON.stringify(step.value) ?? "null";
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
