import { useState } from "react";
import { toast } from "sonner";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Confirm } from "@/components/Dialog";
import { Time } from "@/components/Time";
import { client, type Schemas } from "@/lib/api";
import { useNow } from "@/lib/time";
import { standing } from "./scopes";

type Key = Schemas["Key"];
const ROW_PIXELS = 56;

function columns(at: number, revoke: (key: Key) => void): Column<Key>[] {
  return [
    {
      id: "name",
      title: "Name",
      cell: (key) => (
        <>
          <span className="block truncate font-medium">{key.name}</span>
          <span className="block truncate text-soft text-xs" title={key.scopes.join(", ")}>
            {key.scopes.join(", ")}
          </span>
        </>
      ),
    },
    {
      id: "standing",
      title: "State",
      width: "8rem",
      cell: (key) => {
        const state = standing(key, at);
        return <Status of={state === "active" ? "active" : "archived"}>{state}</Status>;
      },
    },
    {
      id: "prefix",
      title: "Begins with",
      width: "8rem",
      from: "lg",
      cell: (key) => <code className="font-mono text-[13px]">{key.prefix}…</code>,
    },
    {
      id: "used",
      title: "Last used",
      width: "8rem",
      from: "sm",
      cell: (key) => <Time at={key.last_used_at} />,
    },
    {
      id: "expires",
      title: "Expires",
      width: "8rem",
      from: "md",
      cell: (key) => <Time at={key.expires_at} />,
    },
    {
      id: "made",
      title: "Made by",
      width: "12rem",
      from: "xl",
      cell: (key) => key.created_by,
    },
    {
      id: "act",
      title: <span className="sr-only">Revoke</span>,
      width: "6.5rem",
      align: "right",
      cell: (key) =>
        key.revoked_at === null && (
          <Button small look="danger" onClick={() => revoke(key)} aria-label={`Revoke ${key.name}`}>
            Revoke
          </Button>
        ),
    },
  ];
}

export function KeyTable({
  keys,
  total,
  own,
  onChange,
}: {
  keys: Key[];
  total: number | undefined;
  /** The name of the key that the console itself uses. */
  own: string | null;
  onChange: () => Promise<unknown>;
}) {
  const [asking, setAsking] = useState<Key | null>(null);
  const now = useNow();
  return (
    <>
      <DataTable
        label="API keys"
        columns={columns(now, setAsking)}
        rows={keys}
        rowKey={(key) => key.id}
        rowHeight={ROW_PIXELS}
        {...(total === undefined ? {} : { total })}
      />
      <Confirm
        open={asking !== null}
        onClose={() => setAsking(null)}
        title={`Revoke ${asking?.name ?? ""}?`}
        verb="Revoke the key"
        danger
        run={async () => {
          if (asking === null) return;
          await client.DELETE("/keys/{key_id}", { params: { path: { key_id: asking.id } } });
          toast.success(`${asking.name} was revoked, everywhere within a second.`);
          await onChange();
        }}
      >
        <p>
          Whatever uses it is refused within a second, for good. It stays in this list, because the
          audit log names it.
        </p>
        {asking !== null && asking.name === own && (
          <p className="rounded-md bg-warn-tint p-2 text-warn">
            This is the key that you are signed in with: this page then asks for another one.
          </p>
        )}
      </Confirm>
    </>
  );
}
