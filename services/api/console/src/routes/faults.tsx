import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Invariants } from "@/components/faults/Invariants";
import { Seen } from "@/components/faults/Seen";
import { Switches } from "@/components/faults/Switches";
import { Card, Page, Updated } from "@/components/Page";
import { Empty, Failed, Loaded } from "@/components/States";
import { useChangeFaults, useFaults } from "@/lib/faults";
import { useMay, useSession } from "@/lib/session";

const LEAD =
  "Break things on purpose and watch whether the promises hold. Every fault ends by itself, is written to the audit log, and shows on every page.";

/** The five switches, what each service sees of them, and the promises while they are on. */
export function Faults() {
  const session = useSession();
  const enabled = session.state === "ready" && session.session.faults_enabled;
  const may = useMay("faults");
  const faults = useFaults(enabled && may);
  const off = useChangeFaults();
  const switchOff = () =>
    off.mutate(null, {
      onSuccess: () => toast.success("Every fault is switched off, everywhere within a second."),
    });
  return (
    <Page
      title="Faults"
      lead={LEAD}
      actions={
        faults.data && (
          <Button
            look="danger"
            disabled={Object.keys(faults.data.knobs).length === 0}
            busy={off.isPending}
            onClick={switchOff}
          >
            Switch everything off
          </Button>
        )
      }
    >
      {off.error !== null && (
        <div>
          <p className="font-medium text-bad text-sm">The faults were not switched off.</p>
          <Failed error={off.error} retry={switchOff} />
        </div>
      )}
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
