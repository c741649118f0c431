import { CircleAlert, Inbox, PlugZap } from "lucide-react";
import type { ReactNode } from "react";
import { Problem } from "@/lib/api";
import { Button } from "./Button";

/** Nothing is there, and that is known: says why and what to do next. */
export function Empty({
  title,
  children,
  actions,
}: {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <Inbox aria-hidden className="size-8 text-edge" strokeWidth={1.5} />
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-soft text-sm">{children}</div>}
      {actions && <div className="mt-2 flex flex-wrap justify-center gap-2">{actions}</div>}
    </div>
  );
}

/** It is not known what is there: never looks like an empty list. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = error instanceof Problem ? error : null;
  const Icon = problem?.unreachable ? PlugZap : CircleAlert;
  return (
    <div
      role="alert"
      className="m-4 flex gap-3 rounded-md border border-bad/40 bg-bad-tint p-4 text-sm"
    >
      <Icon aria-hidden className="mt-0.5 size-5 shrink-0 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium text-bad">{problem?.title ?? "This could not be shown"}</p>
        <p className="break-words">
          {problem?.stale
            ? "Nothing was done: look at what is there now, and decide again."
            : problem?.detail || (error instanceof Error ? error.message : String(error))}
        </p>
        {!problem?.stale && <Faults error={error} />}
        {problem && !problem.unreachable && (
          <p className="mt-1 text-soft text-xs">
            {problem.status} {problem.slug}
          </p>
        )}
      </div>
      {retry && (
        <Button small className="self-start" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** The flaws that the api pointed at. */
export function Faults({ error }: { error: unknown }) {
  const faults = error instanceof Problem ? error.faults : [];
  if (faults.length === 0) return null;
  return (
    <ul className="mt-1 list-inside list-disc">
      {faults.map((fault) => (
        <li
          key={`${fault.pointer}${fault.parameter}${fault.header}${fault.detail}`}
          className="break-words"
        >
          <code className="font-mono text-[13px]">
            {fault.pointer ?? fault.parameter ?? fault.header ?? ""}
          </code>{" "}
          {fault.detail}
        </li>
      ))}
    </ul>
  );
}

/** Grey bars in the place of what is on its way. */
export function Loading({ rows = 5 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="flex animate-pulse flex-col gap-3 p-4">
      {Array.from({ length: rows }, (_, row) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: the bars are all alike
          key={row}
          className="h-5 rounded bg-sunken"
          style={{ width: `${92 - ((row * 17) % 40)}%` }}
        />
      ))}
    </div>
  );
}

/** The one way from a query to what is shown: its error, its waiting, or its data. */
export function Loaded<T>({
  query,
  rows,
  children,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  rows?: number;
  children: (data: T) => ReactNode;
}) {
  if (query.data === undefined) {
    if (query.error) return <Failed error={query.error} retry={() => query.refetch()} />;
    return <Loading rows={rows} />;
  }
  return (
    <>
      {query.error ? <Stale error={query.error} retry={() => query.refetch()} /> : null}
      {children(query.data)}
    </>
  );
}

/** What is shown was true once: the last attempt to refresh it failed. */
export function Stale({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <div
      role="status"
      className="flex items-center justify-between gap-3 bg-warn-tint px-4 py-2 text-sm text-warn"
    >
      <span>
        Not refreshed: {error instanceof Error ? error.message : String(error)}. These are the last
        numbers.
      </span>
      <Button small onClick={retry}>
        Try again
      </Button>
    </div>
  );
}
