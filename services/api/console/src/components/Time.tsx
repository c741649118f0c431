import { usePrefs } from "@/lib/prefs";
import { ago, bothClocks, exact, useNow } from "@/lib/time";
import { Tip } from "./Tip";

/** A moment: relative by default, exact in the tip and for machines; or the other way round. */
export function Time({ at, show = "ago" }: { at: string | null; show?: "ago" | "exact" }) {
  const now = useNow();
  const { clock } = usePrefs();
  if (at === null) return <span className="text-soft">never</span>;
  return (
    <Tip text={show === "ago" ? bothClocks(at) : `${ago(at, now)} · ${bothClocks(at)}`}>
      <time dateTime={at} className="tabular whitespace-nowrap">
        {show === "ago" ? ago(at, now) : exact(at, clock)}
      </time>
    </Tip>
  );
}
