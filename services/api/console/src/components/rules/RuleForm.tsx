import { useCallback, useEffect, useState } from "react";
import { JsonEditor } from "@/components/editor/JsonEditor";
import { Field, Input, Select, Textarea } from "@/components/Fields";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import { ConditionField } from "./ConditionField";
import type { Draft, Flaws } from "./draft";
import type { useVocabulary } from "./useVocabulary";

type Props = {
  draft: Draft;
  onChange: (draft: Draft) => void;
  flaws: Flaws;
  vocabulary: ReturnType<typeof useVocabulary>;
  /** Whether a text has flaws of its own, so that nothing half-read is saved. */
  onBroken: (broken: boolean) => void;
};

/** What a rule says: its name, the type it looks at, when it applies and what it does. */
export function RuleForm({ draft, onChange, flaws, vocabulary, onBroken }: Props) {
  const put = (part: Partial<Draft>) => onChange({ ...draft, ...part });
  const [broken, setBroken] = useState({ condition: 0, actions: 0 });
  const count = broken.condition + broken.actions;
  useEffect(() => onBroken(count > 0), [count, onBroken]);
  const onCondition = useCallback(
    (condition: number) => setBroken((before) => ({ ...before, condition })),
    [],
  );
  const onActions = useCallback(
    (actions: number) => setBroken((before) => ({ ...before, actions })),
    [],
  );
  return (
    <div className="flex min-w-0 flex-col gap-5">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Name" error={flaws.fields.name}>
          {(props) => (
            <Input
              {...props}
              value={draft.name}
              maxLength={200}
              onChange={(event) => put({ name: event.target.value })}
            />
          )}
        </Field>
        <EventType draft={draft} put={put} error={flaws.fields.event_type} />
      </div>
      <ConditionField
        value={draft.condition}
        onChange={(condition) => put({ condition })}
        engine={draft.engine}
        words={vocabulary.condition}
        diagnostics={flaws.condition}
        onFlaws={onCondition}
      />
      <section aria-label="Actions" className="flex flex-col gap-2">
        <h3 className="font-medium text-[13px]">What does it do?</h3>
        <JsonEditor
          label="Actions"
          value={draft.actions}
          onChange={(actions) => put({ actions })}
          diagnostics={flaws.actions}
          completions={vocabulary.actions}
          onFlaws={onActions}
          height="15rem"
        />
        <p className="text-soft text-xs">
          Up to 10 actions: log, noop, call_webhook, send_email. Variables such as{" "}
          <code className="font-mono">{"{{ data.amount }}"}</code> are filled in from the event.
        </p>
      </section>
      <More draft={draft} put={put} flaws={flaws} />
    </div>
  );
}

type Part = { draft: Draft; put: (part: Partial<Draft>) => void };

function EventType({ draft, put, error }: Part & { error: string | undefined }) {
  const may = useMay("events:read");
  const known = api.useQuery(
    "get",
    "/event-types",
    { params: { query: { seen: true, limit: 200 } } },
    { enabled: may, staleTime: 30_000 },
  );
  const types = known.data?.event_types.map(({ type }) => type) ?? [];
  return (
    <Field
      label="Event type"
      hint="Exact, or a beginning such as payment.*; * takes every type."
      error={error}
    >
      {(props) => (
        <>
          <Input
            {...props}
            list={`${props.id}-types`}
            value={draft.event_type}
            maxLength={200}
            className="font-mono"
            onChange={(event) => put({ event_type: event.target.value })}
          />
          <datalist id={`${props.id}-types`}>
            {types.map((type) => (
              <option key={type} value={type} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}

function More({ draft, put, flaws }: Part & { flaws: Flaws }) {
  const open = draft.engine !== "datalogic" || draft.note !== "" || "note" in flaws.fields;
  return (
    <details open={open || undefined} className="text-sm">
      <summary className="cursor-pointer text-soft hover:text-ink">Engine and note</summary>
      <div className="mt-3 grid gap-4 sm:grid-cols-2">
        <Field
          label="Note"
          hint="Why this version; shown in the list of versions."
          error={flaws.fields.note}
        >
          {(props) => (
            <Textarea
              {...props}
              value={draft.note}
              maxLength={1000}
              onChange={(event) => put({ note: event.target.value })}
            />
          )}
        </Field>
        <Field
          label="Engine"
          hint="datalogic is quicker and has more operators."
          error={flaws.fields.engine}
        >
          {(props) => (
            <Select
              {...props}
              value={draft.engine}
              onChange={(event) =>
                put({
                  engine:
                    event.target.value === "json-logic-qubit" ? "json-logic-qubit" : "datalogic",
                })
              }
            >
              <option value="datalogic">datalogic (default)</option>
              <option value="json-logic-qubit">json-logic-qubit</option>
            </Select>
          )}
        </Field>
      </div>
    </details>
  );
}
