import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { TypeDrawer } from "@/components/event-types/TypeDrawer";
import { Input, Switch } from "@/components/Fields";
import { Card, Page, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { plural } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { duration } from "@/lib/time";

const route = getRouteApi("/event-types");
const PAGE = 200;
type Row = Schemas["EventTypeListed"];

const COLUMNS: Column<Row>[] = [
  {
    id: "type",
    title: "Type",
    cell: (row) => (
      <Link
        to="/event-types"
        search={(before) => ({ ...before, type: row.type })}
        className="font-medium hover:underline"
      >
        {row.type}
      </Link>
    ),
  },
  {
    id: "set",
    title: "Settings",
    width: "7rem",
    cell: (row) => (row.defaults ? <span className="text-soft">defaults</span> : "set"),
  },
  {
    id: "policy",
    title: "After a failure",
    width: "11rem",
    from: "md",
    cell: (row) => (row.key_policy === "wait" ? "its key waits" : "its key passes"),
  },
  {
    id: "retries",
    title: "Retries",
    width: "5.5rem",
    align: "right",
    from: "sm",
    cell: (row) => row.retry_limit,
  },
  {
    id: "timeout",
    title: "Timeout",
    width: "6.5rem",
    align: "right",
    from: "lg",
    cell: (row) => duration(row.processing_timeout_ms),
  },
  {
    id: "schema",
    title: "Schema",
    width: "6rem",
    from: "lg",
    cell: (row) => (row.has_schema ? "yes" : <No />),
  },
  {
    id: "topic",
    title: "Topic",
    width: "10rem",
    from: "xl",
    cell: (row) => row.topic ?? <No text="events" />,
  },
  {
    id: "retention",
    title: "Retention",
    width: "7rem",
    from: "xl",
    cell: (row) =>
      row.retention_days === null ? <No text="for ever" /> : plural(row.retention_days, "day"),
  },
];

function No({ text = "none" }: { text?: string }) {
  return <span className="text-soft">{text}</span>;
}

/** Every type that events have or that somebody has set; one of them can be open beside the list. */
export function EventTypes() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const seen = search.seen !== "false";
  const types = api.useInfiniteQuery(
    "get",
    "/event-types",
    { params: { query: { seen, limit: PAGE } } },
    {
      pageParamName: "cursor",
      initialPageParam: null as string | null,
      getNextPageParam: (page: Schemas["EventTypePage"]) => page.next_cursor ?? undefined,
    },
  );
  useLiveRefetch({ kinds: ["event_type"] }, () => types.refetch({ cancelRefetch: false }));
  const show = (type: string | undefined) =>
    void navigate({ to: "/event-types", search: { ...search, type } });
  return (
    <Page
      title="Event types"
      lead="How events of a type are processed. A type needs no entry: without one it has the defaults."
      actions={<Other onOpen={show} />}
    >
      <Card
        flush
        title={
          <Switch
            label="Also types that nobody has set"
            checked={seen}
            onChange={(on) =>
              void navigate({
                to: "/event-types",
                search: on ? {} : { seen: "false" },
                replace: true,
              })
            }
          />
        }
        aside={<Updated at={types.dataUpdatedAt} />}
      >
        <Loaded query={types}>
          {(data) => {
            const rows = data.pages.flatMap((page) => page.event_types);
            if (rows.length === 0) return <None seen={seen} />;
            return (
              <DataTable
                label="Event types"
                columns={COLUMNS}
                rows={rows}
                rowKey={(row) => row.type}
                {...(types.hasNextPage ? {} : { total: rows.length })}
                onOpen={(row) => show(row.type)}
              />
            );
          }}
        </Loaded>
        {types.hasNextPage && (
          <div className="border-line border-t p-3 text-center">
            <Button small disabled={types.isFetching} onClick={() => void types.fetchNextPage()}>
              Show more
            </Button>
          </div>
        )}
      </Card>
      {search.type && (
        <TypeDrawer key={search.type} name={search.type} onClose={() => show(undefined)} />
      )}
    </Page>
  );
}

/** A type may be set before its first event. */
function Other({ onOpen }: { onOpen: (type: string) => void }) {
  const [name, setName] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onOpen(name.trim());
    setName("");
  };
  return (
    <form onSubmit={submit} className="flex gap-2">
      <Input
        aria-label="Name of a type"
        placeholder="payment.completed"
        value={name}
        required
        pattern="\s*[!-~]*[!-\)\+-~]\s*"
        title="Printable ASCII without spaces; patterns are for rules."
        maxLength={200}
        onChange={(event) => setName(event.target.value)}
      />
      <Button type="submit">Open type</Button>
    </form>
  );
}

function None({ seen }: { seen: boolean }) {
  if (!seen) return <Empty title="Nobody has set a type">All of them have the defaults.</Empty>;
  return (
    <Empty title="No event type yet">
      The first event brings its type. Settings can be made before: name the type above.
    </Empty>
  );
}
