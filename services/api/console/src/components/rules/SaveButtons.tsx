import { useState } from "react";
import { Button } from "@/components/Button";
import type { RuleVersion } from "./calls";
import type { Draft, State } from "./draft";
import { PublishConfirm } from "./PublishConfirm";
import type { Ready } from "./Workbench";

/** A draft is saved at once; shadow and publishing say first what they change. */
export function SaveButtons({
  ready: { blocked, bench },
  busy,
  draft,
  live,
  active,
  save,
}: {
  ready: Ready;
  busy: boolean;
  draft: Draft;
  /** The versions that it would take the place of, if there are any. */
  live?: { shadow: RuleVersion | null; published: RuleVersion | null };
  active: boolean;
  save: (state: State) => Promise<void>;
}) {
  const [asked, setAsked] = useState<"shadow" | "published" | null>(null);
  const off = busy || blocked !== null;
  return (
    <>
      <Button disabled={off} onClick={() => void save("draft")}>
        Save draft
      </Button>
      <Button disabled={off} onClick={() => setAsked("shadow")}>
        Put in shadow
      </Button>
      <Button look="primary" disabled={off || bench.refused} onClick={() => setAsked("published")}>
        Publish
      </Button>
      <PublishConfirm
        state={asked}
        onClose={() => setAsked(null)}
        draft={draft}
        live={live?.[asked ?? "published"] ?? null}
        active={active}
        bench={bench}
        run={save}
      />
    </>
  );
}
