import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Fields";
import { MomentInput } from "@/components/MomentInput";
import { Failed } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { createBacktest, type RuleView } from "./calls";
import { splitFaults } from "./draft";

const NOTHING = "nothing";

/** Which version, against which, over which events; what the api leaves open it decides. */
export function BacktestForm({
  rule,
  onClose,
  onMade,
}: {
  rule: RuleView;
  onClose: () => void;
  onMade: (id: string) => void;
}) {
  const query = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { path: { rule_id: rule.id }, query: { limit: 200 } },
  });
  const versions = query.data?.versions ?? [];
  const candidate = rule.draft ?? rule.shadow;
  const [version, setVersion] = useState(String(candidate?.version ?? rule.newest_version));
  const [against, setAgainst] = useState(
    rule.published === null ? NOTHING : String(rule.published.version),
  );
  const [after, setAfter] = useState<string>();
  const [before, setBefore] = useState<string>();
  const [most, setMost] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const flaws = splitFaults(error);
  const faultAt = (pointer: string) =>
    flaws.rest.find((fault) => fault.pointer === pointer)?.detail;
  const start = async () => {
    setBusy(true);
    setError(null);
    const body: Schemas["BacktestBody"] = {
      version: Number(version),
      against: against === NOTHING ? null : Number(against),
      ...(after ? { received_after: after } : {}),
      ...(before ? { received_before: before } : {}),
      ...(most ? { events_max: Number(most) } : {}),
    };
    try {
      const made = await createBacktest(rule.id, body);
      toast.success("The backtest is queued.");
      onMade(made.id);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="New backtest"
      lead="Reads past events and compares what both versions say of them. It sends nothing and changes nothing."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={busy} onClick={() => void start()}>
            Start
          </Button>
        </>
      }
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label="Version"
          hint={query.data?.next_cursor ? "The newest 200 are offered." : undefined}
          error={faultAt("/version")}
        >
          {(props) => (
            <Select {...props} value={version} onChange={(event) => setVersion(event.target.value)}>
              {versions.map((each) => (
                <option key={each.version} value={each.version}>
                  Version {each.version}, {each.state}
                </option>
              ))}
              {versions.length === 0 && <option value={version}>Version {version}</option>}
            </Select>
          )}
        </Field>
        <Field label="Against" error={faultAt("/against")}>
          {(props) => (
            <Select {...props} value={against} onChange={(event) => setAgainst(event.target.value)}>
              {versions.map((each) => (
                <option key={each.version} value={each.version}>
                  Version {each.version}, {each.state}
                </option>
              ))}
              <option value={NOTHING}>Nothing: count what it matches</option>
            </Select>
          )}
        </Field>
        <MomentInput
          label="Received after"
          hint="Empty: from the first."
          error={faultAt("/received_after")}
          value={after}
          onChange={setAfter}
        />
        <MomentInput
          label="Received before"
          hint="Empty: until now."
          error={faultAt("/received_before")}
          value={before}
          onChange={setBefore}
        />
        <Field
          label="At most so many events"
          hint="The newest of them. Empty: 1,000,000."
          error={faultAt("/events_max")}
        >
          {(props) => (
            <Input
              {...props}
              type="number"
              min={1}
              value={most}
              onChange={(event) => setMost(event.target.value)}
            />
          )}
        </Field>
      </div>
      {error ? <Failed error={error} /> : null}
    </Dialog>
  );
}
