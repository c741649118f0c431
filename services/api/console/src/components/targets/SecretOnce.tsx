import { useState } from "react";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";

/** A secret that is shown now and never again: a stray click or Esc does not lose it. */
export function SecretOnce({ secret, close }: { secret: string; close: () => void }) {
  const [warned, setWarned] = useState(false);
  return (
    <Dialog
      open
      onClose={() => setWarned(true)}
      title="The signing secret"
      lead="It is shown now and never again. Give it to the receiver before you close this."
      footer={
        <Button look="primary" onClick={close}>
          I have stored it
        </Button>
      }
    >
      <Code text={secret} label="signing secret" />
      {warned && (
        <p role="alert" className="mt-3 rounded-md bg-warn-tint px-3 py-2 text-sm text-warn">
          Not closed yet: nobody can show it again. Press “I have stored it” when you have.
        </p>
      )}
      <p className="mt-3 text-soft text-sm">
        The receiver checks with it that a request comes from here and is unchanged. Lost? Rotate: a
        new one is made, and the present one goes on signing for a while.
      </p>
    </Dialog>
  );
}
