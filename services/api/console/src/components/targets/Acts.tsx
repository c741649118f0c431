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

type Done = () => Promise<unknown>;

/** What may be done with a target. Each act counts only for the revision that was shown. */
export function Acts({ target, done }: { target: Target; done: Done }) {
  const may = useMay("targets:write");
  // As it was when it was asked: a colleague's change must not turn the question round.
  const [asked, setAsked] = useState<{ act: Act; of: Target } | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  if (!may) return null;
  const close = () => setAsked(null);
  const { act, of } = asked ?? { act: null, of: target };
  return (
    <>
      {target.archived_at === null && (
        <Offered target={target} ask={(next) => setAsked({ act: next, of: target })} />
      )}
      {act === "edit" && <Edit base={of} target={target} close={close} done={done} />}
      {act === "rotate" && (
        <Rotate
          target={of}
          close={close}
          refused={done}
          rotated={(made) => {
            setSecret(made);
            void done();
          }}
        />
      )}
      {secret !== null && <SecretOnce secret={secret} close={() => setSecret(null)} />}
      <Switches target={of} now={target} act={act} close={close} done={done} />
    </>
  );
}

function Offered({ target, ask }: { target: Target; ask: (act: Act) => void }) {
  const disabled = target.disabled_at !== null;
  const stuck = target.health.breaker !== "closed" || target.health.paused_until !== null;
  const more = [
    { title: "Rotate the secret", run: () => ask("rotate") },
    ...(disabled ? [] : [{ title: "Disable", run: () => ask("disable") }]),
    { title: "Archive", run: () => ask("archive"), danger: true },
  ];
  return (
    <>
      {(disabled || stuck) && (
        <Button look={disabled ? "primary" : "plain"} onClick={() => ask("enable")}>
          {disabled ? "Enable" : "Close the breaker"}
        </Button>
      )}
      <Button onClick={() => ask("edit")}>Edit</Button>
      <Menu trigger={<Button>More</Button>} items={more} />
    </>
  );
}

function etagOf(target: Target) {
  return { "If-Match": `"${target.revision}"` };
}

/** Draft, patch and ETag are of the target as it was when the form was opened, and stay so. */
function Edit({
  base,
  target,
  close,
  done,
}: {
  base: Target;
  target: Target;
  close: () => void;
  done: Done;
}) {
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
        void done();
      }}
    />
  );
}

function Switches({
  target,
  now,
  act,
  close,
  done,
}: {
  target: Target;
  now: Target;
  act: Act | null;
  close: () => void;
  done: Done;
}) {
  const params = { path: { target_id: target.id }, header: etagOf(target) };
  const carryOut = async (request: Promise<unknown>, said: string) => {
    await request.catch((refused: unknown) => {
      // What is shown may be old, which is why it was refused.
      void done();
      throw refused;
    });
    toast.success(said);
    await done();
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
        run={(reason) =>
          carryOut(
            client.POST("/targets/{target_id}/disable", {
              params,
              body: { reason: reason.trim() },
            }),
            "Disabled. Nothing is sent to it until somebody enables it.",
          )
        }
      >
        <p>
          Nothing more is sent to it. What is due, now {waiting(now)}, becomes skipped and is not
          sent later by itself: each one can be sent again when the target is enabled.
        </p>
      </Confirm>
      <Confirm
        open={act === "enable"}
        onClose={close}
        title={target.disabled_at ? `Enable ${target.name}` : "Close the breaker"}
        verb={target.disabled_at ? "Enable" : "Close the breaker"}
        run={() =>
          carryOut(
            client.POST("/targets/{target_id}/enable", { params }),
            "It gets deliveries again.",
          )
        }
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
        run={() =>
          carryOut(client.DELETE("/targets/{target_id}", { params }), `${target.name} is archived.`)
        }
      >
        <p>
          It gets nothing more, for good; what is due, now {waiting(now)}, becomes skipped. Rules
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
