import { useState } from "react";
import { Confirm } from "@/components/Dialog";
import { JsonDiff } from "@/components/editor/JsonEditor";
import type { RuleVersion } from "./calls";
import { type Draft, type State, textOf } from "./draft";
import { Untested } from "./Untested";
import type { Bench } from "./useBench";

const VERBS: Record<State, string> = {
  published: "Publish",
  shadow: "Put in shadow",
  draft: "Save draft",
};

/** Says what a save will change before it is done. */
export function PublishConfirm({
  state,
  onClose,
  draft,
  live,
  active,
  bench,
  run,
}: {
  state: State | null;
  onClose: () => void;
  draft: Draft;
  /** The version that it takes the place of, if there is one. */
  live: RuleVersion | null;
  active: boolean;
  bench: Bench;
  run: (state: State) => Promise<unknown>;
}) {
  const chosen = state ?? "published";
  const lacking = lacksTest(bench);
  // Said for one text at one asking, and not for the next.
  const [said, setSaid] = useState<Draft | null>(null);
  const untested = said === draft;
  return (
    <Confirm
      open={state !== null}
      onClose={() => {
        setSaid(null);
        onClose();
      }}
      title={chosen === "shadow" ? "Put this in shadow?" : "Publish this?"}
      verb={VERBS[chosen]}
      disabled={chosen === "published" && lacking !== null && !untested}
      run={() => run(chosen)}
    >
      <p>{consequence(chosen, draft, live, active)}</p>
      {lacking === null ? (
        <p className="text-soft">
          On the event of the test bench it{" "}
          {bench.result?.test.outcome === "matched" ? "matches" : "does not match"}.
        </p>
      ) : chosen === "published" ? (
        <Untested checked={untested} onChange={(on) => setSaid(on ? draft : null)}>
          {lacking}
        </Untested>
      ) : (
        <p className="rounded-md bg-warn-tint p-2.5 text-warn">{lacking}</p>
      )}
      {live && (
        <section aria-label="What changes" className="flex flex-col gap-1.5">
          <h3 className="font-medium">Against version {live.version}</h3>
          <JsonDiff label="What changes" before={textOf(live)} after={textOf(draft)} />
        </section>
      )}
    </Confirm>
  );
}

function consequence(state: State, draft: Draft, live: RuleVersion | null, active: boolean) {
  const type = draft.event_type;
  if (state === "shadow") {
    return `It is evaluated on each new event of ${type} and acts on nothing. ${live ? `Version ${live.version} leaves shadow and becomes a draft.` : "What is published stays as it is."}`;
  }
  const whom = live ? `Version ${live.version} is retired. ` : "";
  return active
    ? `${whom}From the next second on this is what runs for each new event of ${type}. Events that were processed before are not touched; a replay uses it.`
    : `${whom}The rule is switched off: nothing is evaluated until it is switched on.`;
}

/** Why the bench says nothing for this text, or null where it does. */
export function lacksTest(bench: Pick<Bench, "result" | "stale" | "error">): string | null {
  const test = bench.result?.test;
  if (test === undefined || bench.stale || bench.error)
    return "It has not been tested in this form.";
  if (test.outcome === "failed") return "It fails on the event of the test bench.";
  return null;
}
