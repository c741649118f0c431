import { useCallback, useState } from "react";
import { SELECTED_MAX } from "./Selection";

/** Which events are selected, at most as many as are replayed one by one. */
export function useSelection() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const toggle = useCallback(
    (id: string) =>
      setSelected((old) => {
        const next = new Set(old);
        if (!next.delete(id) && next.size < SELECTED_MAX) next.add(id);
        return next;
      }),
    [],
  );
  const keep = useCallback((ids: string[]) => setSelected(new Set(ids)), []);
  return { selected, toggle, keep };
}
