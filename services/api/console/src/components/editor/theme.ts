import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const look = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "transparent", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "20px" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--soft)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 6px 0 10px", minWidth: "28px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLineGutter": { color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    { backgroundColor: "var(--accent-tint)" },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--accent-tint)",
    outline: "1px solid var(--accent)",
  },
  ".cm-tooltip": {
    color: "var(--ink)",
    backgroundColor: "var(--card)",
    border: "1px solid var(--line)",
    borderRadius: "6px",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-mono)", maxHeight: "15em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    color: "var(--ink)",
    backgroundColor: "var(--accent-tint)",
  },
  ".cm-completionDetail": { color: "var(--soft)", fontStyle: "normal", marginLeft: "12px" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "600" },
  ".cm-completionInfo": { padding: "6px 10px", maxWidth: "20rem", fontFamily: "var(--font-sans)" },
  ".cm-diagnostic": { padding: "4px 10px", fontFamily: "var(--font-sans)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    backgroundColor: "var(--bad-tint)",
    textDecoration: "underline wavy var(--bad)",
    textUnderlineOffset: "3px",
  },
  ".cm-lintPoint-error:after": { borderBottomColor: "var(--bad)" },
  // Removed and added are told by a sign too, never by colour alone.
  "&.cm-merge-b .cm-line, .cm-deletedLine": { position: "relative", paddingLeft: "22px" },
  "&.cm-merge-b .cm-changedLine": { backgroundColor: "var(--ok-tint)" },
  "&.cm-merge-b .cm-changedLine::before, .cm-deletedLine::before": {
    position: "absolute",
    left: "6px",
    fontWeight: "700",
  },
  "&.cm-merge-b .cm-changedLine::before": { content: "'+'", color: "var(--ok)" },
  ".cm-deletedLine::before": { content: "'\\2212'", color: "var(--bad)" },
  "&.cm-merge-b .cm-changedText, & .cm-deletedChunk .cm-deletedText": { background: "none" },
  ".cm-deletedChunk": { backgroundColor: "var(--bad-tint)", paddingLeft: "0" },
  ".cm-deletedChunk del, .cm-changedLine ins": { textDecoration: "none" },
  ".cm-collapsedLines::before, .cm-collapsedLines::after": { content: "''" },
  ".cm-collapsedLines": {
    color: "var(--soft)",
    background: "var(--sunken)",
    padding: "3px 12px",
  },
  ".cm-changeGutter": { width: "3px", paddingLeft: "1px" },
  "&.cm-merge-b .cm-changedLineGutter": { background: "var(--ok)" },
  ".cm-deletedLineGutter": { background: "var(--bad)" },
});

const colours = syntaxHighlighting(
  HighlightStyle.define([
    { tag: tags.propertyName, color: "var(--info)" },
    { tag: tags.string, color: "var(--ok)" },
    { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
  ]),
);

/** Our colours, and the page's nonce: without it a strict CSP refuses CodeMirror's style sheet. */
export function theme() {
  const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce;
  return [look, colours, nonce ? EditorView.cspNonce.of(nonce) : []];
}
