import { type FormEvent, useState } from "react";
import { Field, Input } from "@/components/Fields";
import { Choice } from "@/components/replays/Choice";
import { Failed } from "@/components/States";
import type { Schemas } from "@/lib/api";
import { bodyOf, type Draft, draftOf, flawOf, readSchema, schemaFlaws } from "./form";
import { SchemaField } from "./SchemaField";

// The commands of orders write these; the api takes neither schema nor topic for them.
const ORDER_TYPES = ["order.created", "order.paid", "order.cancelled", "order.refunded"];

export const TYPE_FORM = "event-type";

/** Every setting of one type. What the form's id names is sent by a button outside of it. */
export function TypeForm({
  type,
  error,
  disabled,
  onSave,
}: {
  type: Schemas["EventType"];
  error: unknown;
  disabled: boolean;
  onSave: (body: Schemas["EventTypeBody"]) => void;
}) {
  const [draft, setDraft] = useState(() => draftOf(type));
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));
  const [unread, setUnread] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const schema = readSchema(draft.schema);
    setUnread("flaw" in schema ? schema.flaw : "");
    if ("value" in schema) onSave(bodyOf(draft, schema.value));
  };
  const isOrder = ORDER_TYPES.includes(type.type);
  return (
    <form id={TYPE_FORM} onSubmit={submit} className="flex flex-col gap-5">
      <Choice
        legend="When an event fails for good"
        name="key_policy"
        value={draft.key_policy}
        onChange={(key_policy) => set({ key_policy })}
        disabled={disabled}
        options={[
          {
            value: "wait",
            title: "Later events of its key wait",
            text: "Order is kept: they wait until the dead letter is redriven or discarded.",
          },
          {
            value: "pass",
            title: "Later events of its key pass",
            text: "Nothing is held up; the failed event may take effect after later ones.",
          },
        ]}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <Amount
          label="Retries"
          hint="After the first attempt; then it fails and is a dead letter."
          value={draft.retry_limit}
          least={0}
          error={flawOf(error, "/retry_limit")}
          disabled={disabled}
          onChange={(retry_limit) => set({ retry_limit })}
        />
        <Amount
          label="Processing timeout, seconds"
          hint="An attempt that takes longer has failed."
          value={draft.timeout_seconds}
          least={0.001}
          step="any"
          error={flawOf(error, "/processing_timeout_ms")}
          disabled={disabled}
          onChange={(timeout_seconds) => set({ timeout_seconds })}
        />
        <Amount
          label="Retention, days"
          hint="Data of finished events is removed after this. Empty: never."
          value={draft.retention_days}
          least={1}
          optional
          error={flawOf(error, "/retention_days")}
          disabled={disabled}
          onChange={(retention_days) => set({ retention_days })}
        />
        {!isOrder && (
          <Field
            label="Topic"
            hint="Empty: the topic for events. Order is kept within a topic, not between two."
            error={flawOf(error, "/topic")}
          >
            {(props) => (
              <Input
                {...props}
                value={draft.topic}
                disabled={disabled}
                onChange={(event) => set({ topic: event.target.value })}
              />
            )}
          </Field>
        )}
      </div>
      {isOrder ? (
        <p className="text-soft text-sm">
          This type belongs to orders: their commands write its data, which has no schema or topic
          to set.
        </p>
      ) : (
        <SchemaField
          text={draft.schema}
          flaws={schemaFlaws(error)}
          unread={unread}
          disabled={disabled}
          onChange={(schema) => set({ schema })}
        />
      )}
      {error ? <Failed error={error} /> : null}
    </form>
  );
}

function Amount({
  label,
  hint,
  value,
  least,
  step = "1",
  optional,
  error,
  disabled,
  onChange,
}: {
  label: string;
  hint: string;
  value: string;
  least: number;
  step?: string;
  optional?: boolean;
  error: string | undefined;
  disabled: boolean;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(props) => (
        <Input
          {...props}
          type="number"
          min={least}
          step={step}
          required={!optional}
          value={value}
          disabled={disabled}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
