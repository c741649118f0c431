import { json } from "@codemirror/lang-json";
import { unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, highlightSpecialChars, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { theme } from "./theme";

/** Two texts in one column: what was removed above what was added. Nothing can be changed here. */
export default function Merge({
  before,
  after,
  label,
}: {
  before: string;
  after: string;
  label: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current === null) return;
    const view = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: after,
        extensions: [
          lineNumbers(),
          highlightSpecialChars(),
          json(),
          theme(),
          EditorView.lineWrapping,
          EditorState.readOnly.of(true),
          EditorView.contentAttributes.of({
            "aria-label": label,
            "aria-readonly": "true",
            tabindex: "0",
          }),
          unifiedMergeView({
            original: before,
            mergeControls: false,
            allowInlineDiffs: false,
            collapseUnchanged: { margin: 3, minSize: 6 },
          }),
        ],
      }),
    });
    return () => view.destroy();
  }, [before, after, label]);
  return (
    <div
      ref={box}
      className="max-h-[28rem] overflow-auto rounded-md border border-line bg-card focus-within:outline-2 focus-within:outline-accent"
    />
  );
}
