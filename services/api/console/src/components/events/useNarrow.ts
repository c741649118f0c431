import { useSyncExternalStore } from "react";

const narrow = window.matchMedia?.("(max-width: 639px)");

function subscribe(listener: () => void): () => void {
  narrow?.addEventListener("change", listener);
  return () => narrow?.removeEventListener("change", listener);
}

/** Whether this is a phone: there the list has one column, not hidden ones. */
export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow?.matches ?? false);
}
