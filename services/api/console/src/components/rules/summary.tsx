import type { ReactNode } from "react";

type Action = { key?: unknown; type?: unknown; params?: unknown };

/** The stored actions; the api types them as any JSON. */
export function actionsOf(value: unknown): Action[] {
  const isAction = (each: unknown): each is Action => typeof each === "object" && each !== null;
  return Array.isArray(value) ? value.filter(isAction) : [];
}

/** What an action does, in words. */
export function inWords({ type, params }: Action): string {
  const of = (name: string) => {
    const value = isObject(params) ? params[name] : undefined;
    return Array.isArray(value) ? value.join(", ") : value === undefined ? "" : String(value);
  };
  switch (type) {
    case "log":
      return of("message") ? `log “${of("message")}”` : "log the event";
    case "noop":
      return "nothing; the match is recorded";
    case "call_webhook": {
      const method = of("method") && of("method") !== "POST" ? `${of("method")} ` : "";
      return of("target")
        ? `${method}webhook to target ${of("target")}`
        : `${method}webhook to ${of("url")}`;
    }
    case "send_email":
      return `mail to ${of("to")}`;
    default:
      return String(type);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export function allInWords(actions: unknown): string {
  return actionsOf(actions).map(inWords).join("; ");
}

export function ActionList({ actions }: { actions: unknown }): ReactNode {
  return (
    <ol className="flex flex-col gap-1">
      {actionsOf(actions).map((action, place) => (
        <li key={String(action.key ?? place)} className="break-words">
          {inWords(action)}{" "}
          <code className="font-mono text-soft text-xs">{String(action.key)}</code>
        </li>
      ))}
    </ol>
  );
}
