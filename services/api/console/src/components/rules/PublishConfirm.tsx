import { Confirm } from "@/components/Dialog";
import { JsonDiff } from "@/components/editor/JsonEditor";
import type { RuleVersion } from "./calls";
import { type Draft, type State, textOf } from "./draft";
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
  return (
    <Confirm
      open={state !== null}
      onClose={onClose}
      title={chosen === "shadow" ? "Put this in shadow?" : "Publish this?"}
      verb={VERBS[chosen]}
      run={() => run(chosen)}
    >
      <p>{consequence(chosen, draft, live, active)}</p>
      <Verdict bench={bench} />
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

function Verdict({ bench }: { bench: Bench }) {
  const test = bench.result?.test;
  const state =
    test === undefined || bench.stale
      ? "It has not been tested in this form."
      : test.outcome === "failed"
        ? "It fails on the event of the test bench."
        : `On the event of the test bench it ${test.outcome === "matched" ? "matches" : "does not match"}.`;
  const bad = test === undefined || bench.stale || test.outcome === "failed";
  return <p className={bad ? "rounded-md bg-warn-tint p-2.5 text-warn" : "text-soft"}>{state}</p>;
}
