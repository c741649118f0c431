import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import { Failed } from "@/components/States";
import { Problem } from "@/lib/api";
import { type FaultState, useChangeFaults } from "@/lib/faults";
import { Knobs } from "./Knobs";
import { bodyOf, markOf, needsConfirm, type Plan, planOf } from "./plan";
import { Scope } from "./Scope";

/** What is to be on, chosen first and applied at once. */
export function Switches({ state }: { state: FaultState }) {
  const [plan, setPlan] = useState<Plan>(() => planOf(state));
  const [mark, setMark] = useState(() => markOf(state));
  const [edited, setEdited] = useState(false);
  const change = useChangeFaults();
  const load = (from: FaultState) => {
    setPlan(planOf(from));
    setMark(markOf(from));
    setEdited(false);
  };
  const isOutdated = mark !== markOf(state);
  // What is being edited is never taken away: only who has changed nothing sees the new state.
  if (isOutdated && !edited) load(state);
  const chosen = Object.keys(plan.knobs);
  // Nothing chosen is something to apply too, where something is on.
  const isNothing = chosen.length === 0 && Object.keys(state.knobs).length === 0;
  const waits = needsConfirm(plan) && !plan.confirm;
  const apply = () =>
    change.mutate(chosen.length === 0 ? null : bodyOf(plan), {
      onSuccess: (answer) => {
        load(answer);
        toast.success(
          chosen.length === 0
            ? "Every fault is switched off, everywhere within a second."
            : `On within a second: ${chosen.join(", ")}.`,
        );
      },
    });
  const edit = (next: Plan) => {
    setPlan(next);
    setEdited(true);
  };
  return (
    <Card title="Switches" aside={edited ? "not applied yet" : undefined} flush>
      <Knobs
        plan={plan}
        state={state}
        change={edit}
        disabled={change.isPending}
        errors={pointers(change.error)}
      />
      {chosen.length > 0 && <Scope plan={plan} change={edit} errors={pointers(change.error)} />}
      {change.error !== null && <Failed error={change.error} />}
      {isOutdated && edited && !change.isPending && (
        <div
          role="status"
          className="flex flex-wrap items-center justify-between gap-3 bg-warn-tint px-4 py-2 text-sm text-warn"
        >
          <span>
            What is on has changed meanwhile: somebody else set it, or a fault ended by itself. Your
            edits are kept; applying them replaces it.
          </span>
          <Button small onClick={() => load(state)}>
            Drop my edits and show what is on
          </Button>
        </div>
      )}
      <div className="flex flex-wrap items-center justify-end gap-3 border-line border-t px-4 py-3">
        <p className="mr-auto text-soft text-xs">What is applied replaces everything that is on.</p>
        <Button
          look="primary"
          disabled={waits}
          busy={isNothing || change.isPending}
          onClick={apply}
        >
          {chosen.length === 0 && !isNothing ? "Apply: all off" : "Apply"}
        </Button>
      </div>
    </Card>
  );
}

function pointers(error: unknown): Map<string, string> {
  const faults = error instanceof Problem ? error.faults : [];
  return new Map(faults.map((fault) => [fault.pointer ?? "", fault.detail]));
}
