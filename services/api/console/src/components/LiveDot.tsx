import { useLiveState } from "@/lib/live";
import { Tip } from "./Tip";

const SAYS = {
  live: ["live", "Changes arrive by themselves", "bg-ok"],
  connecting: ["connecting", "The live connection is being made", "bg-edge"],
  reconnecting: [
    "reconnecting",
    "The live connection is away; what changes is asked for every 10 seconds",
    "bg-warn",
  ],
} as const;

/** Whether changes arrive by themselves. */
export function LiveDot() {
  const state = useLiveState();
  const [word, tip, colour] = SAYS[state];
  return (
    <Tip text={tip}>
      <span role="status" className="flex items-center gap-1.5 px-2 text-soft text-xs">
        <span aria-hidden className={`size-2 rounded-full ${colour}`} />
        <span className={state === "live" ? "hidden sm:inline" : ""}>{word}</span>
        <span className="sr-only">{tip}</span>
      </span>
    </Tip>
  );
}
