import { type FormEvent, useState } from "react";
import { key } from "@/lib/key";
import { Button } from "./Button";
import { Field, Input } from "./Fields";

/** Takes a key and hands it over; what the api said of the last one stands at the field. */
export function KeyForm({ signIn }: { signIn: (value: string) => Promise<void> }) {
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const refused = key.read() !== null;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    await signIn(value.trim());
    setBusy(false);
  };
  return (
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
  );
}
