import { useEffect, useRef } from "react";
import { usePrefs } from "./prefs";

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest("input, textarea, select, [contenteditable], .cm-editor");
}

/** Enter on what can be pressed presses that, whatever else Enter would do on the page. */
function isPress(event: KeyboardEvent): boolean {
  const element = event.target as HTMLElement | null;
  return event.key === "Enter" && !!element?.closest("a, button, summary, [role=menuitem]");
}

/**
 * Single keys and two-key sequences ("g e"), off while somebody types, while a dialog is open, and
 * for who switched them off (WCAG 2.2, 2.1.4).
 */
export function useHotkeys(keys: Record<string, () => void>, enabled = true): void {
  const { shortcuts } = usePrefs();
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    if (!shortcuts || !enabled) return;
    let before = "";
    let at = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (isPress(event)) return;
      if (event.defaultPrevented || document.querySelector("[role=dialog]")) return;
      const sequence = Date.now() - at < 1_000 ? `${before} ${event.key}` : "";
      const run = latest.current[sequence] ?? latest.current[event.key];
      before = event.key;
      at = Date.now();
      if (run) {
        event.preventDefault();
        run();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [shortcuts, enabled]);
}
