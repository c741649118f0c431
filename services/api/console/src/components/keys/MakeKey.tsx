import { type FormEvent, useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Fields";
import { useDocument } from "@/components/reference/openapi";
import { Failed } from "@/components/States";
import { client, Problem, type Schemas } from "@/lib/api";
import type { Session } from "@/lib/session";
import { expiryOf, LIVES } from "./expiry";
import { readScopeWords, SCOPES, type Scope } from "./scopes";

const FORM = "make-key";

/** A new key. Only scopes that the caller has are offered: nobody can give what he has not. */
export function MakeKey({
  session,
  onClose,
  onMade,
}: {
  session: Session;
  onClose: () => void;
  onMade: (made: Schemas["MadeKey"]) => void;
}) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>([]);
  const [days, setDays] = useState("90");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  // A plain call and no mutation: the secret in its answer must not stay in the query cache.
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const expires_at = expiryOf(days, Date.now());
      const { data } = await client.POST("/keys", { body: { name, scopes, expires_at } });
      if (data) onMade(data);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const faults = error instanceof Problem ? error.faults : [];
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title="Make a key"
      lead="The key itself is shown once, when it is made."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            form={FORM}
            look="primary"
            busy={busy}
            disabled={name === "" || scopes.length === 0}
          >
            Make the key
          </Button>
        </>
      }
    >
      <form id={FORM} onSubmit={submit} className="flex flex-col gap-5">
        <div className="grid gap-4 sm:grid-cols-2">
          <Field
            label="Name"
            hint="Who or what uses it; the audit log names it. Small letters, digits, dot, dash, underscore."
            error={faults.find((fault) => fault.pointer === "/name")?.detail}
          >
            {(props) => (
              <Input
                {...props}
                value={name}
                required
                maxLength={63}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
          <Field
            label="Expires"
            error={faults.find((fault) => fault.pointer === "/expires_at")?.detail}
          >
            {(props) => (
              <Select {...props} value={days} onChange={(event) => setDays(event.target.value)}>
                {LIVES.map(([value, words]) => (
                  <option key={value} value={value}>
                    {words}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        </div>
        <Scopes offered={session.scopes} chosen={scopes} onChange={setScopes} />
        {error !== null && <Failed error={error} />}
      </form>
    </Dialog>
  );
}

function Scopes({
  offered,
  chosen,
  onChange,
}: {
  offered: string[];
  chosen: Scope[];
  onChange: (scopes: Scope[]) => void;
}) {
  const document = useDocument();
  const words = readScopeWords(
    document.data?.components.securitySchemes?.apiKey?.description ?? "",
  );
  return (
    <fieldset>
      <legend className="mb-1.5 font-medium text-[13px]">What it may do</legend>
      <div className="grid gap-x-4 sm:grid-cols-2">
        {SCOPES.filter((scope) => offered.includes(scope)).map((scope) => (
          <label key={scope} className="flex cursor-pointer gap-2.5 rounded-md px-1 py-1.5">
            <input
              type="checkbox"
              checked={chosen.includes(scope)}
              onChange={(event) =>
                onChange(
                  event.target.checked
                    ? [...chosen, scope]
                    : chosen.filter((other) => other !== scope),
                )
              }
              className="mt-1 shrink-0 accent-accent"
            />
            <span className="min-w-0">
              <code className="block font-mono text-[13px]">{scope}</code>
              <span className="block text-soft text-xs">{words[scope]}</span>
            </span>
          </label>
        ))}
      </div>
      {chosen.includes("admin") && (
        <p className="mt-2 rounded-md bg-warn-tint p-2 text-sm text-warn">
          Whoever has this key can make himself keys with every scope.
        </p>
      )}
    </fieldset>
  );
}
