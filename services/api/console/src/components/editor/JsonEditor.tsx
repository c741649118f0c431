import { lazy, Suspense } from "react";
import type { Diagnostic } from "./tree";
import type { Words } from "./words";

export type { Diagnostic } from "./tree";

export type EditorProps = {
  value: string;
  onChange?: (value: string) => void;
  /** What is edited, for every reader. */
  label: string;
  /** What the api found wrong, by JSON pointers into this document. */
  diagnostics?: Diagnostic[];
  completions?: Words;
  height?: string;
  readOnly?: boolean;
  /** Hears how many flaws the text itself has; a form with any must not be saved. */
  onFlaws?: (count: number) => void;
};

const CodeMirror = lazy(() => import("./CodeMirror"));
const Merge = lazy(() => import("./Merge"));

/** A JSON editor that is loaded when it is first shown. */
export function JsonEditor(props: EditorProps) {
  return (
    <Suspense fallback={<Waiting height={props.height ?? "12rem"} label={props.label} />}>
      <CodeMirror {...props} />
    </Suspense>
  );
}

/** What another text says differently, in one column. */
export function JsonDiff(props: { before: string; after: string; label: string }) {
  if (props.before === props.after) {
    return <p className="text-soft text-sm">They say the same.</p>;
  }
  return (
    <Suspense fallback={<Waiting height="8rem" label={props.label} />}>
      <Merge {...props} />
    </Suspense>
  );
}

function Waiting({ height, label }: { height: string; label: string }) {
  return (
    <div
      role="status"
      aria-label={`Loading the editor: ${label}`}
      className="animate-pulse rounded-md border border-line bg-sunken"
      style={{ height }}
    />
  );
}
