import { useEffect, useState } from "react";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Invariants } from "@/components/faults/Invariants";
import { Knobs } from "@/components/faults/Knobs";
import { bodyOf, needsConfirm, type Plan, planOf } from "@/components/faults/plan";
import { Scope } from "@/components/faults/Scope";
import { Seen } from "@/components/faults/Seen";
import { Card, Page, Updated } from "@/components/Page";
import { Empty, Failed, Loaded } from "@/components/States";
import { Problem } from "@/lib/api";
import { type FaultState, useChangeFaults, useFaults } from "@/lib/faults";
import { useMay, useSession } from "@/lib/session";

const LEAD =
  "Break things on purpose and watch whether the promises hold. Every fault ends by itself, is written to the audit log, and shows on every page.";

/** The five switches, what each service sees of them, and the promises while they are on. */
export function Faults() {
  const session = useSession();
  const enabled = session.state === "ready" && session.session.faults_enabled;
  const may = useMay("faults");
  const faults = useFaults(enabled && may);
  return (
    <Page title="Faults" lead={LEAD} actions={faults.data && <SwitchOff state={faults.data} />}>
      <Invariants />
      {!enabled ? (
        <Card>
          <Off />
        </Card>
      ) : !may ? (
        <Card>
          <Empty title="Your key may not break things">
            The scope “faults” is needed to see and set faults.
          </Empty>
        </Card>
      ) : (
        <Loaded query={faults}>
          {(state) => (
            <div className="grid items-start gap-5 xl:grid-cols-[3fr_2fr]">
              <Switches state={state} />
              <Card
                title="What each service sees"
                aside={<Updated at={faults.dataUpdatedAt} />}
                flush
              >
                <Seen state={state} />
              </Card>
            </div>
          )}
        </Loaded>
      )}
    </Page>
  );
}

function Off() {
  return (
    <Empty title="Fault injection is off here">
      <p className="mb-3">
        It is off unless it is asked for, and refused in production. To break this local system,
        start it with
      </p>
      <Code text="oncely up --faults" label="command" />
    </Empty>
  );
}

function SwitchOff({ state }: { state: FaultState }) {
  const change = useChangeFaults();
  const on = Object.keys(state.knobs).length;
  return (
    <Button
      look="danger"
      disabled={on === 0 || change.isPending}
      onClick={() => change.mutate(null)}
    >
      Switch everything off
    </Button>
  );
}

function Switches({ state }: { state: FaultState }) {
  const [plan, setPlan] = useState<Plan>(() => planOf(state));
  const [edited, setEdited] = useState(false);
  const change = useChangeFaults();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new version is what somebody set, here or elsewhere
  useEffect(() => {
    setPlan(planOf(state));
    setEdited(false);
  }, [state.version]);
  const chosen = Object.keys(plan.knobs).length;
  const waits = chosen === 0 || (needsConfirm(plan) && !plan.confirm);
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
      {chosen > 0 && <Scope plan={plan} change={edit} errors={pointers(change.error)} />}
      {change.error !== null && <Failed error={change.error} />}
      <div className="flex flex-wrap items-center justify-end gap-3 border-line border-t px-4 py-3">
        <p className="mr-auto text-soft text-xs">What is applied replaces everything that is on.</p>
        <Button
          look="primary"
          disabled={waits || change.isPending}
          onClick={() => change.mutate(bodyOf(plan))}
        >
          Apply
        </Button>
      </div>
    </Card>
  );
}

function pointers(error: unknown): Map<string, string> {
  const faults = error instanceof Problem ? error.faults : [];
  return new Map(faults.map((fault) => [fault.pointer ?? "", fault.detail]));
}
