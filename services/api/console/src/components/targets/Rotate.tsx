import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Fields";
import { Failed } from "@/components/States";
import { client, Problem } from "@/lib/api";
import { errorAt, type Target } from "./form";

const OVERLAPS: [number, string][] = [
  [3_600, "1 hour"],
  [86_400, "1 day"],
  [604_800, "7 days"],
  [2_592_000, "30 days"],
  [0, "none: the present one stops now"],
];
const DAY = 86_400;

/** A new secret signs, and the present one beside it until the overlap is over. */
export function Rotate({
  target,
  close,
  refused,
  rotated,
}: {
  target: Target;
  close: () => void;
  /** Somebody changed the target meanwhile: what is shown of it is old. */
  refused: () => void;
  /** With the secret when it was made there. */
  rotated: (secret: string | null) => void;
}) {
  const [overlap, setOverlap] = useState(DAY);
  const [own, setOwn] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const rotate = async () => {
    setBusy(true);
    setError(null);
    try {
      const { data } = await client.POST("/targets/{target_id}/secrets", {
        params: { path: { target_id: target.id }, header: { "If-Match": `"${target.revision}"` } },
        body: { secret: own.trim() || null, overlap_seconds: overlap },
      });
      toast.success("The new secret signs from now on.");
      close();
      rotated(data?.secret ?? null);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      if (isStale(failure)) refused();
    }
  };
  return (
    <Dialog
      open
      onClose={close}
      title={`Rotate the secret of ${target.name}`}
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button look="primary" busy={busy || isStale(error)} onClick={rotate}>
            Rotate
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4 text-sm">
        <p>
          During the overlap each request is signed with both, so that the receiver can change
          without losing one. {target.secrets.length} of at most 5 sign now.
        </p>
        <Field
          label="The present secret goes on signing for"
          hint={
            overlap === 0 ? "Requests fail at the receiver until it knows the new one." : undefined
          }
          error={errorAt(error, "overlap_seconds")}
        >
          {(props) => (
            <Select
              {...props}
              value={overlap}
              onChange={(event) => setOverlap(Number(event.target.value))}
            >
              {OVERLAPS.map(([seconds, title]) => (
                <option key={seconds} value={seconds}>
                  {title}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field
          label="The new secret"
          hint="Leave it empty: one is made and shown once."
          error={errorAt(error, "secret")}
        >
          {(props) => (
            <Input
              {...props}
              value={own}
              placeholder="made for you"
              onChange={(event) => setOwn(event.target.value)}
            />
          )}
        </Field>
        {isStale(error) ? (
          <p role="alert" className="rounded-md bg-warn-tint p-3 text-warn">
            Somebody changed this target meanwhile, perhaps its secret, so nothing was rotated.
            Close this, look at it, and decide again.
          </p>
        ) : (
          error !== null && !errorAt(error, "secret") && <Failed error={error} />
        )}
      </div>
    </Dialog>
  );
}

function isStale(error: unknown): boolean {
  return error instanceof Problem && error.stale;
}
