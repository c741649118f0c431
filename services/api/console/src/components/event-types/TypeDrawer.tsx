import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, client, Problem } from "@/lib/api";
import { useMay } from "@/lib/session";
import { TYPE_FORM, TypeForm } from "./TypeForm";

// A form must not change under the hands of whoever fills it in.
const STILL = { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false, gcTime: 0 };

/** The settings of one type, beside the list. They are saved only over what was read. */
export function TypeDrawer({ name, onClose }: { name: string; onClose: () => void }) {
  const may = useMay("event-types:write");
  const queries = useQueryClient();
  const [resetting, setResetting] = useState(false);
  const path = { event_type: name };
  const type = api.useQuery("get", "/event-types/{event_type}", { params: { path } }, STILL);
  // A load begins the form anew, also where the revision is what it was.
  const [loads, setLoads] = useState(0);
  const [reloading, setReloading] = useState(false);
  const save = api.useMutation("put", "/event-types/{event_type}");
  const match = { "If-Match": `"${type.data?.revision ?? 0}"` };
  const settled = (said: string) => {
    toast.success(said);
    void queries.invalidateQueries({ queryKey: ["get", "/event-types"] });
    onClose();
  };
  const [resetRefused, setResetRefused] = useState(false);
  const stale = resetRefused || (save.error instanceof Problem && save.error.stale);
  return (
    <Dialog
      open
      side
      onClose={onClose}
      title={name}
      lead={
        type.data?.updated_at ? (
          <>
            Set <Time at={type.data.updated_at} />
          </>
        ) : (
          "Has the defaults: nobody has set anything."
        )
      }
      footer={
        may &&
        type.data && (
          <>
            {!type.data.defaults && (
              <Button className="mr-auto" look="danger" onClick={() => setResetting(true)}>
                Reset to defaults
              </Button>
            )}
            {stale && <Button onClick={() => setReloading(true)}>Load what is there now</Button>}
            <Button type="submit" form={TYPE_FORM} look="primary" busy={save.isPending}>
              Save
            </Button>
          </>
        )
      }
    >
      <Loaded query={type} rows={8}>
        {(found) => (
          <>
            {!may && (
              <p className="mb-4 text-soft text-sm">
                To change this needs the scope <code>event-types:write</code>, which you do not
                have.
              </p>
            )}
            <TypeForm
              key={`${found.type}/${loads}`}
              type={found}
              error={save.error}
              disabled={!may}
              onSave={(body) =>
                save.mutate(
                  { params: { path, header: match }, body },
                  { onSuccess: () => settled(`${name} was set, in force within a second.`) },
                )
              }
            />
          </>
        )}
      </Loaded>
      <Confirm
        open={resetting}
        onClose={() => setResetting(false)}
        title="Reset to the defaults?"
        verb="Reset"
        danger
        run={async () => {
          try {
            await client.DELETE("/event-types/{event_type}", { params: { path, header: match } });
          } catch (refused) {
            setResetRefused(refused instanceof Problem && refused.stale);
            throw refused;
          }
          settled(`${name} has the defaults again.`);
        }}
      >
        <p>
          Schema, topic, retries, timeout, key policy and retention of <code>{name}</code> go back
          to the defaults within a second. Events stay as they are.
        </p>
      </Confirm>
      <Confirm
        open={reloading}
        onClose={() => setReloading(false)}
        title="Load what is there now?"
        verb="Drop mine and load"
        keep="Keep mine"
        danger
        run={async () => {
          await type.refetch({ throwOnError: true });
          save.reset();
          setResetRefused(false);
          setLoads((before) => before + 1);
        }}
      >
        <p>
          Somebody else changed <code>{name}</code> after you opened it, so nothing of yours was
          done. What you typed here is dropped and their settings take its place. To keep your text,
          copy it first.
        </p>
      </Confirm>
    </Dialog>
  );
}
