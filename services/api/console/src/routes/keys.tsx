import { Plus } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { KeyTable } from "@/components/keys/KeyTable";
import { Made } from "@/components/keys/Made";
import { MakeKey } from "@/components/keys/MakeKey";
import { Card, Page, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { type Session, useSession } from "@/lib/session";

const PAGE = 100;

export function Keys() {
  const session = useSession();
  if (session.state !== "ready") return null;
  if (!session.session.scopes.includes("admin")) {
    return (
      <Page title="API keys">
        <Card>
          <Empty title="You may not see the keys">
            It needs a key with the scope <code>admin</code>.
          </Empty>
        </Card>
      </Page>
    );
  }
  return <Allowed session={session.session} />;
}

function Allowed({ session }: { session: Session }) {
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Schemas["MadeKey"] | null>(null);
  const keys = api.useInfiniteQuery(
    "get",
    "/keys",
    { params: { query: { limit: PAGE } } },
    {
      pageParamName: "cursor",
      initialPageParam: null as string | null,
      getNextPageParam: (page: Schemas["KeyPage"]) => page.next_cursor ?? undefined,
    },
  );
  const make = (
    <Button look="primary" onClick={() => setMaking(true)}>
      <Plus aria-hidden className="size-4" /> Make a key
    </Button>
  );
  return (
    <Page
      title="API keys"
      lead="Who may call this api, and for what. A key's scopes never change; it is revoked and another is made."
      actions={make}
    >
      {session.auth_mode === "none" && <Open />}
      {made && <Made made={made} onDone={() => setMade(null)} />}
      <Card title="Keys, newest first" flush aside={<Updated at={keys.dataUpdatedAt} />}>
        <Loaded query={keys}>
          {(data) => {
            const rows = data.pages.flatMap((page) => page.keys);
            if (rows.length === 0)
              return (
                <Empty title="No key yet" actions={make}>
                  Give each caller its own, with the few scopes that it needs.
                </Empty>
              );
            return (
              <KeyTable
                keys={rows}
                total={keys.hasNextPage ? undefined : rows.length}
                own={session.caller}
                onChange={() => keys.refetch()}
              />
            );
          }}
        </Loaded>
        {keys.hasNextPage && (
          <div className="border-line border-t p-3 text-center">
            <Button small disabled={keys.isFetching} onClick={() => void keys.fetchNextPage()}>
              Show older ones
            </Button>
          </div>
        )}
      </Card>
      {making && (
        <MakeKey
          session={session}
          onClose={() => setMaking(false)}
          onMade={(key) => {
            setMade(key);
            setMaking(false);
            void keys.refetch();
          }}
        />
      )}
    </Page>
  );
}

/** AUTH_MODE=none: keys can be made, and nobody has to show one. */
function Open() {
  return (
    <p className="rounded-md bg-warn-tint px-4 py-3 text-sm text-warn">
      <strong className="font-medium">Nobody is asked for a key here (AUTH_MODE=none).</strong>{" "}
      Whoever reaches this api may do everything. Keys that are made now count once it runs with
      AUTH_MODE=keys.
    </p>
  );
}
