import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Menu } from "@/components/Menu";
import { client } from "@/lib/api";
import { useMay } from "@/lib/session";
import { changesOf, draftOf, patchOf, type Target } from "./form";
import { Rotate } from "./Rotate";
import { SecretOnce } from "./SecretOnce";
import { TargetForm } from "./TargetForm";

type Act = "edit" | "rotate" | "disable" | "enable" | "archive";

/** What may be done with a target. Each act counts only for the revision that is shown. */
export function Acts({ target, done }: { target: Target; done: () => void }) {
  const may = useMay("targets:write");
  const [act, setAct] = useState<Act | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  if (!may || target.archived_at !== null) return null;
  const close = () => setAct(null);
  const disabled = target.disabled_at !== null;
  const stuck = target.health.breaker !== "closed" || target.health.paused_until !== null;
  const more = [
    { title: "Rotate the secret", run: () => setAct("rotate") },
    ...(disabled ? [] : [{ title: "Disable", run: () => setAct("disable") }]),
    { title: "Archive", run: () => setAct("archive"), danger: true },
  ];
  return (
    <>
      {(disabled || stuck) && (
        <Button look={disabled ? "primary" : "plain"} onClick={() => setAct("enable")}>
          {disabled ? "Enable" : "Close the breaker"}
        </Button>
      )}
      <Button onClick={() => setAct("edit")}>Edit</Button>
      <Menu trigger={<Button>More</Button>} items={more} />
      {act === "edit" && <Edit target={target} close={close} done={done} />}
      {act === "rotate" && (
        <Rotate
          target={target}
          close={close}
          rotated={(made) => {
            setSecret(made);
            done();
          }}
        />
      )}
      {secret !== null && <SecretOnce secret={secret} close={() => setSecret(null)} />}
      <Switches target={target} act={act} close={close} done={done} />
    </>
  );
}

function etagOf(target: Target) {
  return { "If-Match": `"${target.revision}"` };
}

/** Draft, patch and ETag are of the target as it was when the form was opened, and stay so. */
function Edit({ target, close, done }: { target: Target; close: () => void; done: () => void }) {
  const [base] = useState(target);
  return (
    <TargetForm
      title={`Edit ${base.name}`}
      verb="Save"
      start={draftOf(base)}
      headerNames={base.header_names}
      meanwhile={changesOf(base, target)}
      refused={done}
      close={close}
      save={async (draft) => {
        const patch = patchOf(draft, base);
        if (Object.keys(patch).length > 0) {
          await client.PATCH("/targets/{target_id}", {
            params: { path: { target_id: base.id }, header: etagOf(base) },
            // What is left out stays as it is; the document has defaults where the api has none.
            body: patch as Required<typeof patch>,
          });
          toast.success("Saved. It counts for every attempt from now on.");
        }
        close();
        done();
      }}
    />
  );
}

function Switches({
  target,
  act,
  close,
  done,
}: {
  target: Target;
  act: Act | null;
  close: () => void;
  done: () => void;
}) {
  const params = { path: { target_id: target.id }, header: etagOf(target) };
  const said = (text: string) => {
    toast.success(text);
    done();
  };
  return (
    <>
      <Confirm
        open={act === "disable"}
        onClose={close}
        title={`Disable ${target.name}`}
        verb="Disable"
        danger
        reason="required"
        run={async (reason) => {
          await client.POST("/targets/{target_id}/disable", {
            params,
            body: { reason: reason.trim() },
          });
          said("Disabled. Nothing is sent to it until somebody enables it.");
        }}
      >
        <p>
          Nothing more is sent to it. What is due, now {waiting(target)}, becomes skipped and is not
          sent later by itself: each one can be sent again when the target is enabled.
        </p>
      </Confirm>
      <Confirm
        open={act === "enable"}
        onClose={close}
        title={target.disabled_at ? `Enable ${target.name}` : "Close the breaker"}
        verb={target.disabled_at ? "Enable" : "Close the breaker"}
        run={async () => {
          await client.POST("/targets/{target_id}/enable", { params });
          said("It gets deliveries again.");
        }}
      >
        <p>
          It gets deliveries again at once, and its breaker is closed. What was skipped meanwhile
          stays skipped: send it again from its delivery.
        </p>
      </Confirm>
      <Confirm
        open={act === "archive"}
        onClose={close}
        title={`Archive ${target.name}`}
        verb="Archive"
        danger
        run={async () => {
          await client.DELETE("/targets/{target_id}", { params });
          said("Archived.");
        }}
      >
        <p>
          It gets nothing more, for good; what is due, now {waiting(target)}, becomes skipped. Rules
          that name it skip too, until they name another. Its deliveries stay readable and its name
          is free. This cannot be taken back.
        </p>
      </Confirm>
    </>
  );
}

function waiting({ health }: Target): string {
  return `${health.pending}${health.pending_capped ? " or more" : ""}`;
}
