import { type FormEvent, useEffect, useState } from "react";
import { key } from "@/lib/key";
import { signIn } from "@/lib/session";
import { Button } from "./Button";
import { Field, Input } from "./Fields";

/** Shown instead of every page while the api wants a key and has none that it knows. */
export function SignIn() {
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const refused = key.read() !== null;
  useEffect(() => {
    document.title = "Sign in · Oncely";
  }, []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    await signIn(value.trim());
    setBusy(false);
  };
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-4 px-5">
      <h1 className="font-semibold text-2xl tracking-tight">Oncely</h1>
      <p className="text-soft text-sm">
        This api wants a key. Make one with <code className="font-mono">oncely keys create</code>,
        with the scopes that you need; <code className="font-mono">events:read</code> is enough to
        look around.
      </p>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field
          label="API key"
          hint="Kept in this tab only, and forgotten when it is closed."
          error={
            refused && !busy
              ? "The api does not know this key, or it has expired or was revoked."
              : undefined
          }
        >
          {(props) => (
            <Input
              {...props}
              type="password"
              value={value}
              placeholder="onc_…"
              required
              onChange={(event) => setValue(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" look="primary" disabled={busy || value.trim() === ""}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
