import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { client } from "@/lib/api";
import { useMay } from "@/lib/session";
import { bodyOf, NEW } from "./form";
import { SecretOnce } from "./SecretOnce";
import { TargetForm } from "./TargetForm";

/** Make a target; its page opens when the secret that was made has been seen. */
export function NewTarget({ made }: { made: (id: string) => void }) {
  const may = useMay("targets:write");
  const [open, setOpen] = useState(false);
  const [created, setCreated] = useState<{ id: string; secret: string } | null>(null);
  if (!may) return null;
  return (
    <>
      <Button look="primary" onClick={() => setOpen(true)}>
        New target
      </Button>
      {open && (
        <TargetForm
          title="New target"
          verb="Create"
          start={NEW}
          close={() => setOpen(false)}
          save={async (draft) => {
            const { data } = await client.POST("/targets", { body: bodyOf(draft) });
            setOpen(false);
            if (data === undefined) return;
            toast.success(`${data.name} is there. A rule can name it now.`);
            if (data.secret === null) made(data.id);
            else setCreated({ id: data.id, secret: data.secret });
          }}
        />
      )}
      {created && (
        <SecretOnce
          secret={created.secret}
          close={() => {
            setCreated(null);
            made(created.id);
          }}
        />
      )}
    </>
  );
}
