import { type ReactNode, useId, useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Textarea } from "@/components/Fields";
import { Failed } from "@/components/States";
import { Problem } from "@/lib/api";
import { type Draft, errorAt } from "./form";

const MEMBERS = [
  "name",
  "url",
  "headers",
  "timeout_ms",
  "rate_per_second",
  "in_flight_max",
  "secret",
];

/** Create or change a target. What the api refuses stands at its field. */
export function TargetForm({
  title,
  verb,
  start,
  headerNames,
  meanwhile = [],
  refused,
  close,
  save,
}: {
  title: string;
  verb: string;
  start: Draft;
  /** Of a target that is there: their values are never shown, and stay when nothing is typed. */
  headerNames?: string[];
  /** What somebody else changed since the form was opened, and who is told that it was found out. */
  meanwhile?: string[];
  refused?: () => void;
  close: () => void;
  save: (draft: Draft) => Promise<void>;
}) {
  const form = useId();
  const [draft, setDraft] = useState(start);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const set = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await save(draft);
    } catch (failure) {
      setError(failure);
      if (isStale(failure)) refused?.();
    } finally {
      setBusy(false);
    }
  };
  const elsewhere =
    error !== null && !isStale(error) && !MEMBERS.some((member) => errorAt(error, member));
  return (
    <Dialog
      open
      onClose={close}
      title={title}
      wide
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button look="primary" type="submit" form={form} busy={busy}>
            {verb}
          </Button>
        </>
      }
    >
      <form
        id={form}
        noValidate
        className="grid gap-4 sm:grid-cols-3"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Text
          label="Name"
          hint="Rules name the target by it."
          error={errorAt(error, "name")}
          className="sm:col-span-3"
          value={draft.name}
          change={(name) => set({ name })}
        />
        <Text
          label="URL"
          hint="http or https. Private, loopback, link-local and metadata addresses are refused: now, and again at every connection."
          error={errorAt(error, "url")}
          className="sm:col-span-3"
          value={draft.url}
          change={(url) => set({ url })}
          placeholder="https://example.com/hooks"
        />
        <Text
          label="Timeout, ms"
          hint="100 to 60,000"
          error={errorAt(error, "timeout_ms")}
          value={draft.timeout}
          change={(timeout) => set({ timeout })}
          numeric
        />
        <Text
          label="Most per second"
          hint="Empty: no limit"
          error={errorAt(error, "rate_per_second")}
          value={draft.rate}
          change={(rate) => set({ rate })}
          numeric
          placeholder="no limit"
        />
        <Text
          label="Most in flight"
          hint="1 to 1,000 at a time"
          error={errorAt(error, "in_flight_max")}
          value={draft.inFlight}
          change={(inFlight) => set({ inFlight })}
          numeric
        />
        <Headers
          draft={draft}
          set={set}
          error={errorAt(error, "headers")}
          {...(headerNames ? { names: headerNames } : {})}
        />
        {headerNames === undefined && (
          <Text
            label="Signing secret"
            hint="Leave it empty: one is made and shown once. Or bring your own: whsec_ and 24 to 64 bytes in base64."
            error={errorAt(error, "secret")}
            className="sm:col-span-3"
            value={draft.secret}
            change={(secret) => set({ secret })}
            placeholder="made for you"
          />
        )}
      </form>
      {isStale(error) && (
        <div role="alert" className="mt-4 rounded-md bg-warn-tint p-3 text-sm text-warn">
          <p>
            Somebody changed this target meanwhile. Close, look at it, and make your change again.
          </p>
          <ul className="list-disc pl-5 empty:hidden">
            {meanwhile.map((change) => (
              <li key={change} className="break-words">
                {change}
              </li>
            ))}
          </ul>
        </div>
      )}
      {elsewhere && <Failed error={error} />}
    </Dialog>
  );
}

function isStale(error: unknown): boolean {
  return error instanceof Problem && error.stale;
}

function Text({
  label,
  hint,
  error,
  value,
  change,
  numeric,
  placeholder,
  className = "",
}: {
  label: string;
  hint: ReactNode;
  error: string | undefined;
  value: string;
  change: (value: string) => void;
  numeric?: boolean;
  placeholder?: string;
  className?: string;
}) {
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {(props) => (
        <Input
          {...props}
          value={value}
          placeholder={placeholder}
          inputMode={numeric ? "decimal" : "text"}
          onChange={(event) => change(event.target.value)}
        />
      )}
    </Field>
  );
}

function Headers({
  draft,
  set,
  error,
  names,
}: {
  draft: Draft;
  set: (part: Partial<Draft>) => void;
  error: string | undefined;
  names?: string[];
}) {
  if (draft.headers === null)
    return (
      <div className="flex flex-wrap items-center justify-between gap-2 rounded-md border border-line px-3 py-2 text-sm sm:col-span-3">
        <span>
          Headers: {names?.length ? names.join(", ") : "none"}
          <span className="block text-soft text-xs">Their values are never shown again.</span>
        </span>
        <Button small onClick={() => set({ headers: "" })}>
          Replace all
        </Button>
      </div>
    );
  return (
    <Field
      label="Headers"
      hint={`One a line, “Name: value”. Stored encrypted, never shown again.${names ? " These take the place of all that are there." : ""}`}
      error={error}
      className="sm:col-span-3"
    >
      {(props) => (
        <Textarea
          {...props}
          className="font-mono text-[13px]"
          value={draft.headers ?? ""}
          placeholder="Authorization: Bearer …"
          onChange={(event) => set({ headers: event.target.value })}
        />
      )}
    </Field>
  );
}
