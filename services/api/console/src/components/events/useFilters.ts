import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { type EventFilters, NAMES } from "./filters";

const route = getRouteApi("/events");

/** The filter of the list, which lives in the address and nowhere else. */
export function useFilters() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const text = JSON.stringify(NAMES.map((name) => search[name] ?? null));
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same filter stays the same object
  const filters: EventFilters = useMemo(() => search, [text]);
  /** Whoever types leaves one step in the history, not one for each letter. */
  const change = useCallback(
    (changes: EventFilters, isTyping = false) =>
      void navigate({ search: (old) => ({ ...old, ...changes }), replace: isTyping }),
    [navigate],
  );
  const replaceAll = useCallback(
    (filters: EventFilters) => void navigate({ search: () => filters }),
    [navigate],
  );
  return { filters, change, replaceAll };
}
