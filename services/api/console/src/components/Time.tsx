import { usePrefs } from "@/lib/prefs";
import { ago, bothClocks, exact, useNow } from "@/lib/time";

/**
 * A moment: relative by default, exact in the title and for machines; or the other way round. A title
 * and no Tip: it needs no stop of the Tab key, and readers are told it as the description.
 */
export function Time({ at, show = "ago" }: { at: string | null; show?: "ago" | "exact" }) {
  const now = useNow();
  const { clock } = usePrefs();
  if (at === null) return <span className="text-soft">never</span>;
  return (
    <time
      dateTime={at}
      title={show === "ago" ? bothClocks(at) : `${ago(at, now)} · ${bothClocks(at)}`}
      className="tabular whitespace-nowrap"
    >
      {show === "ago" ? ago(at, now) : exact(at, clock)}
    </time>
  );
}
