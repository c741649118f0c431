import { Circle, CircleCheck, CircleHelp, CircleX, Clock } from "lucide-react";
import type { Entry } from "./entries";

type Outcome = Entry["outcome"];

const LOOKS = {
  ok: { Icon: CircleCheck, text: "text-ok", colour: "var(--accent)", word: "done" },
  failed: { Icon: CircleX, text: "text-bad", colour: "var(--bad)", word: "failed" },
  unknown: { Icon: CircleHelp, text: "text-warn", colour: "var(--warn)", word: "unknown" },
  waiting: { Icon: Clock, text: "text-soft", colour: "var(--edge)", word: "waiting" },
  note: { Icon: Circle, text: "text-soft", colour: "var(--edge)", word: "note" },
} as const;

export function colourOf(outcome: Outcome): string {
  return LOOKS[outcome].colour;
}

/** How something ended, as a picture with its word for readers. */
export function OutcomeMark({ outcome }: { outcome: Outcome }) {
  const { Icon, text, word } = LOOKS[outcome];
  return (
    <>
      <Icon aria-hidden className={`size-3.5 shrink-0 ${text}`} />
      <span className="sr-only">{word}: </span>
    </>
  );
}
