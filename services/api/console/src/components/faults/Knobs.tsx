import type { ReactNode } from "react";
import { Field, Input, Select, Switch } from "@/components/Fields";
import type { FaultState, Knob } from "@/lib/faults";
import type { Plan } from "./plan";

const SAYS: Record<Knob, { title: string; says: ReactNode; first: string }> = {
  successOnAttempt: {
    title: "successOnAttempt",
    says: "Matching actions fail until the attempt with this number, which succeeds. Retries and dead letters can be watched.",
    first: "3",
  },
  breakBroker: {
    title: "breakBroker",
    says: "The relay's produce fails. Events wait in the outbox and none is lost.",
    first: "before_send",
  },
  breakWorker: {
    title: "breakWorker",
    says: "The relay breaks at a chosen step. Another run publishes again; the second copy is dropped.",
    first: "raise",
  },
  breakConsumer: {
    title: "breakConsumer",
    says: "The consumer breaks at a chosen step. Its transaction is all or nothing, and the records come again.",
    first: "raise",
  },
  duplicateEvents: {
    title: "duplicateEvents",
    says: "Every record is published again as often as said. Each copy is dropped by its dedupe key.",
    first: "1",
  },
};

const BROKER: [string, string][] = [
  ["before_send", "before anything is sent"],
  ["after_ack", "after the acknowledgement: the record is there, the relay does not know"],
  ["timeout", "timeout: nobody knows"],
];
const KINDS: [string, string][] = [
  ["raise", "raise an error"],
  ["hang", "hang"],
  ["exit", "end the process"],
  ["stop", "freeze the process"],
];

type Props = {
  plan: Plan;
  state: FaultState;
  change: (plan: Plan) => void;
  disabled: boolean;
  errors: Map<string, string>;
};

/** The five switches, each with what it does and how. */
export function Knobs({ plan, state, change, disabled, errors }: Props) {
  const set = (knob: Knob, mode: string | undefined) => {
    const { [knob]: _, ...others } = plan.knobs;
    change({ ...plan, knobs: mode === undefined ? others : { ...others, [knob]: mode } });
  };
  return (
    <ul className="divide-y divide-line">
      {(Object.keys(SAYS) as Knob[]).map((knob) => {
        const mode = plan.knobs[knob];
        const rule = state.rules.find((each) => each.knob === knob);
        return (
          <li key={knob} className="flex flex-col gap-2 px-4 py-3">
            <div className="flex flex-wrap items-center justify-between gap-2">
              <Switch
                label={<span className="font-mono text-[13px]">{SAYS[knob].title}</span>}
                checked={mode !== undefined}
                disabled={disabled}
                onChange={(on) => set(knob, on ? SAYS[knob].first : undefined)}
              />
              {rule && (
                <span className="tabular font-medium text-bad text-xs">
                  on · {rule.hits} {rule.hits === 1 ? "hit" : "hits"}
                  {rule.spent ? ", used up" : ""}
                </span>
              )}
            </div>
            <p className="text-soft text-sm">{SAYS[knob].says}</p>
            {mode !== undefined && (
              <Mode
                knob={knob}
                mode={mode}
                set={(next) => set(knob, next)}
                state={state}
                error={errors.get(`/${knob}`)}
              />
            )}
          </li>
        );
      })}
    </ul>
  );
}

type ModeProps = {
  knob: Knob;
  mode: string;
  set: (mode: string) => void;
  state: FaultState;
  error?: string;
};

function Mode({ knob, mode, set, state, error }: ModeProps) {
  const [kind = "", point] = mode.split("@");
  if (knob === "successOnAttempt" || knob === "duplicateEvents") {
    const most = knob === "duplicateEvents" ? 10 : 1000;
    return (
      <Field
        label={knob === "duplicateEvents" ? "Further copies" : "Attempt that succeeds"}
        error={error}
        className="w-44"
      >
        {(props) => (
          <Input
            {...props}
            type="number"
            min={1}
            max={most}
            value={mode}
            onChange={(event) => set(event.target.value)}
          />
        )}
      </Field>
    );
  }
  if (knob === "breakBroker") {
    return (
      <Field label="When" error={error} className="max-w-md">
        {(props) => (
          <Select {...props} value={mode} onChange={(event) => set(event.target.value)}>
            {BROKER.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </Select>
        )}
      </Field>
    );
  }
  const points = Object.entries(state.failpoints[knob] ?? {});
  const chosen = point ?? points[0]?.[0] ?? "";
  return (
    <div className="grid gap-3 sm:grid-cols-[12rem_1fr]">
      <Field label="How" error={error}>
        {(props) => (
          <Select
            {...props}
            value={kind}
            onChange={(event) => set(`${event.target.value}@${chosen}`)}
          >
            {KINDS.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="Where" hint={state.failpoints[knob]?.[chosen]}>
        {(props) => (
          <Select
            {...props}
            value={chosen}
            onChange={(event) => set(`${kind}@${event.target.value}`)}
          >
            {points.map(([name]) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </Select>
        )}
      </Field>
    </div>
  );
}
