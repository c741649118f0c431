import { Button } from "@/components/Button";
import { JsonDiff } from "@/components/editor/JsonEditor";
import { Card } from "@/components/Page";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import type { RuleVersion, RuleView } from "./calls";
import { type Draft, type State, textOf } from "./draft";

type Base = { rule: RuleView; from: RuleVersion };

/** Two people changed one rule: both changes are shown against what both began from. */
export function Conflict({
  id,
  base,
  mine,
  state,
  busy,
  reload,
  saveOnTop,
  keepWriting,
}: {
  id: string;
  base: Base;
  mine: Draft;
  state: State;
  busy: boolean;
  reload: (rule: RuleView, version: RuleVersion) => void;
  saveOnTop: (revision: number) => void;
  keepWriting: () => void;
}) {
  // Never from before the refusal: what is shown is what would be replaced.
  const query = api.useQuery(
    "get",
    "/rules/{rule_id}",
    { params: { path: { rule_id: id } } },
    { refetchOnMount: "always" },
  );
  return (
    <Card title="Somebody else changed this rule: your save was refused">
      <Loaded query={query}>
        {(theirs) => {
          const other = theirOf(theirs, base);
          const before = textOf(base.from, base.rule.name);
          return (
            <div className="flex flex-col gap-4 text-sm">
              <p>
                You began from revision {base.rule.revision}; the rule is at revision{" "}
                {theirs.revision} now. Nothing was replaced and your text is kept.
              </p>
              {theirs.active !== base.rule.active && (
                <p>It was switched {theirs.active ? "on" : "off"} meanwhile.</p>
              )}
              {theirs.archived_at !== null && <p>It was archived meanwhile: restore it first.</p>}
              <div className="grid gap-4 lg:grid-cols-2">
                <section aria-label="What they changed" className="flex min-w-0 flex-col gap-1.5">
                  <h3 className="font-medium">
                    What they changed: version {other.version}, {other.state}
                  </h3>
                  <JsonDiff
                    label="What they changed"
                    before={before}
                    after={textOf(other, theirs.name)}
                  />
                </section>
                <section aria-label="What you changed" className="flex min-w-0 flex-col gap-1.5">
                  <h3 className="font-medium">What you changed</h3>
                  <JsonDiff
                    label="What you changed"
                    before={before}
                    after={textOf(mine, mine.name)}
                  />
                </section>
              </div>
              <div className="flex flex-wrap justify-end gap-2">
                <Button onClick={keepWriting}>Keep writing</Button>
                <Button look="danger" disabled={busy} onClick={() => reload(theirs, other)}>
                  Drop mine, begin from theirs
                </Button>
                <Button
                  look="primary"
                  disabled={busy || query.isFetching || theirs.archived_at !== null}
                  onClick={() => saveOnTop(theirs.revision)}
                >
                  Save mine on top as {state}
                </Button>
              </div>
              <p className="text-soft text-xs">
                On top means: your whole text becomes a new version. Theirs stays in the list of
                versions
                {state === "published" && theirs.published
                  ? `, and version ${theirs.published.version} is retired.`
                  : "."}
              </p>
            </div>
          );
        }}
      </Loaded>
    </Card>
  );
}

/** What the other one wrote: the newest version that counts, or the same where only a name changed. */
function theirOf(theirs: RuleView, base: Base): RuleVersion {
  const standing = [theirs.published, theirs.shadow, theirs.draft].filter((each) => each !== null);
  const newest = standing.sort((one, two) => two.version - one.version)[0];
  return newest ?? base.from;
}
