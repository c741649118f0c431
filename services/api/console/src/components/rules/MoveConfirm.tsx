import { useState } from "react";
import { toast } from "sonner";
import { Confirm } from "@/components/Dialog";
import { JsonDiff } from "@/components/editor/JsonEditor";
import { type Move, moveVersion, type RuleVersion, type RuleView } from "./calls";
import { textOf } from "./draft";
import { Untested } from "./Untested";

/** With the rule as it was when it was asked: what is confirmed is what was read. */
export type Asked = { rule: RuleView; version: RuleVersion; move: Move };

const WORDS: Record<Move, { verb: string; asks: (version: string) => string; done: string }> = {
  publish: { verb: "Publish", asks: (it) => `Publish ${it}?`, done: "is published" },
  shadow: { verb: "Put in shadow", asks: (it) => `Put ${it} in shadow?`, done: "is in shadow" },
  retire: { verb: "Retire", asks: (it) => `Retire ${it}?`, done: "is retired" },
  resume: { verb: "Resume", asks: (it) => `Resume ${it}?`, done: "is evaluated again" },
};

/** Says what a version's move changes, and for whom, before it is made. */
export function MoveConfirm({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const [untested, setUntested] = useState(false);
  const { rule, version, move } = asked;
  // One in shadow saw live events and a retired one was live; of a draft nobody knows a thing here.
  const isNew = move === "publish" && version.state === "draft";
  const { verb, asks, done } = WORDS[move];
  const displaced = move === "publish" ? rule.published : move === "shadow" ? rule.shadow : null;
  return (
    <Confirm
      open
      onClose={onClose}
      title={asks(`version ${version.version}`)}
      verb={verb}
      danger={move === "retire"}
      disabled={isNew && !untested}
      run={async () => {
        await moveVersion(rule.id, rule.revision, version.version, move);
        toast.success(`Version ${version.version} ${done}.`);
      }}
    >
      {lines(rule, version, move).map((line) => (
        <p key={line}>{line}</p>
      ))}
      {displaced && displaced.version !== version.version && (
        <JsonDiff
          label={`Version ${version.version} against version ${displaced.version}`}
          before={textOf(displaced)}
          after={textOf(version)}
        />
      )}
      {isNew && (
        <Untested checked={untested} onChange={setUntested}>
          A draft is not tested from here: “Edit from here” opens it with the test bench.
        </Untested>
      )}
    </Confirm>
  );
}

function lines(rule: RuleView, version: RuleVersion, move: Move): string[] {
  const type = version.event_type;
  switch (move) {
    case "publish":
      return [
        rule.active
          ? `From the next second on it runs for each new event of ${type}. Events that were processed before are not touched.`
          : "The rule is switched off: it is evaluated once it is switched on.",
        rule.published ? `Version ${rule.published.version} is retired:` : "Nothing is live now.",
      ];
    case "shadow":
      return [
        `It is evaluated on each new event of ${type} and acts on nothing.`,
        rule.shadow
          ? `Version ${rule.shadow.version} leaves shadow and becomes a draft:`
          : "What is published stays as it is.",
      ];
    case "retire":
      return version.state === "published"
        ? [
            "The rule then does nothing: no version of it acts on new events. Deliveries that exist go on.",
            "It can be published again.",
          ]
        : [
            "It is evaluated no more and stays in the list. It can be put in shadow or published later.",
          ];
    case "resume":
      return [
        `It is evaluated again on new events of ${type}. It was suspended because: ${version.suspension?.reason ?? "unknown"}`,
        "If the cause is still there, it is suspended again.",
      ];
  }
}
