import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  tooltips,
} from "@codemirror/view";
import { useEffect, useMemo, useRef } from "react";
import { completeJson } from "./completions";
import { Flaws } from "./Flaws";
import type { EditorProps } from "./JsonEditor";
import { theme } from "./theme";
import { flawsOf, type Mark, marksOf } from "./tree";
import { NO_WORDS, type Words } from "./words";

const NOTHING: Mark[] = [];

/** The editor itself; only ever loaded when it is needed. Tab leaves it, so no keyboard is trapped. */
export default function CodeMirror(props: EditorProps) {
  const { value, label, height = "12rem", diagnostics, readOnly, onFlaws } = props;
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;

  // biome-ignore lint/correctness/useExhaustiveDependencies: made once; what changes is read by ref
  useEffect(() => {
    if (box.current === null) return;
    const words = () => latest.current.completions ?? NO_WORDS;
    const onChange = (text: string) => latest.current.onChange?.(text);
    const state = EditorState.create({
      doc: value,
      extensions: extensions({ label, readOnly: readOnly ?? false, words, onChange }),
    });
    view.current = new EditorView({ state, parent: box.current });
    return () => {
      view.current?.destroy();
      view.current = null;
    };
  }, [label, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  const own = useMemo(() => flawsOf(value), [value]);
  const marks = useMemo(
    () => (own.length > 0 ? own : diagnostics ? marksOf(value, diagnostics) : NOTHING),
    [own, value, diagnostics],
  );
  useEffect(() => onFlaws?.(own.length), [own, onFlaws]);
  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const most = editor.state.doc.length;
    const shown = marks.map(({ from, to, message }) => ({
      from: Math.min(from, most),
      to: Math.min(to, most),
      severity: "error" as const,
      message,
    }));
    editor.dispatch(setDiagnostics(editor.state, shown));
  }, [marks]);

  const jump = (mark: Mark) => {
    const most = view.current?.state.doc.length ?? 0;
    const selection = { anchor: Math.min(mark.from, most), head: Math.min(mark.to, most) };
    view.current?.dispatch({ selection, scrollIntoView: true });
    view.current?.focus();
  };
  return (
    <div className="min-w-0">
      <div
        ref={box}
        className="overflow-hidden rounded-md border border-edge/70 bg-card focus-within:border-accent focus-within:outline-2 focus-within:outline-accent [&_.cm-editor]:max-h-(--editor-height) [&_.cm-editor]:min-h-20"
        style={{ ["--editor-height" as string]: height }}
      />
      <Flaws label={label} marks={marks} jump={jump} />
    </div>
  );
}

function extensions(options: {
  label: string;
  readOnly: boolean;
  words: () => Words;
  onChange: (text: string) => void;
}) {
  const { label, readOnly, words, onChange } = options;
  return [
    lineNumbers(),
    highlightActiveLineGutter(),
    highlightSpecialChars(),
    history(),
    drawSelection(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    json(),
    theme(),
    EditorView.lineWrapping,
    autocompletion({ override: [completeJson(words)], icons: false }),
    tooltips({ parent: document.body, position: "fixed" }),
    EditorState.readOnly.of(readOnly),
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    // No binding of Tab: it moves on, as everywhere on the page.
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) onChange(update.state.doc.toString());
    }),
  ];
}
