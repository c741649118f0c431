import { Link, useNavigate } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Card, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { Tip } from "@/components/Tip";
import { api, type Schemas } from "@/lib/api";
import { count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { tally } from "./tally";
import { isOver, type Job, VERDICTS } from "./words";

type Row = Schemas["JobEventRow"];
const PAGE = 200;
// To refresh is to ask for every loaded page again: whoever has scrolled far does it by hand.
const PAGES_REFRESHED_MAX = 3;
const EVERY_MS = 5_000;
const ROW_PIXELS = 52;

const COLUMNS: Column<Row>[] = [
  {
    id: "event",
    title: "Event",
    cell: (row) => (
      <>
        <Link
          to="/events/$id"
          params={{ id: row.event_id }}
          search={{ replay: String(row.replay) }}
          className="block truncate font-medium hover:underline"
        >
          {row.type}
        </Link>
        <span className="block truncate font-mono text-soft text-xs">{row.external_id}</span>
      </>
    ),
  },
  {
    id: "verdict",
    title: "Against the first run",
    width: "11rem",
    cell: (row) => (
      <Tip text={VERDICTS[row.verdict]}>
        <span>
          <Status of={row.verdict} />
        </span>
      </Tip>
    ),
  },
  {
    id: "status",
    title: "Event now",
    width: "9rem",
    from: "md",
    cell: (row) => <Status of={row.status} />,
  },
  {
    id: "run",
    title: "Run",
    width: "11rem",
    from: "lg",
    cell: (row) => (row.superseded ? `${row.replay}, replaced by a later one` : String(row.replay)),
  },
  {
    id: "applied",
    title: "Applied",
    width: "7rem",
    from: "sm",
    align: "right",
    cell: (row) =>
      row.applied_at ? <Time at={row.applied_at} /> : <span className="text-soft">not yet</span>,
  },
];

/** What the job has replayed so far, in the order of the events. */
export function JobEvents({ job }: { job: Job }) {
  const navigate = useNavigate();
  const events = api.useInfiniteQuery(
    "get",
    "/replays/{job_id}/events",
    { params: { path: { job_id: job.id }, query: { limit: PAGE } } },
    {
      pageParamName: "cursor",
      initialPageParam: null as string | null,
      getNextPageParam: (page: Schemas["JobEventPage"]) => page.next_cursor ?? undefined,
      refetchInterval: (query) =>
        (query.state.data?.pages.length ?? 0) <= PAGES_REFRESHED_MAX && !isOver(job)
          ? EVERY_MS
          : false,
    },
  );
  const pages = events.data?.pages.length ?? 0;
  useLiveRefetch(
    pages <= PAGES_REFRESHED_MAX ? { kinds: ["replay_job"] } : null,
    () => events.refetch({ cancelRefetch: false }),
    EVERY_MS,
  );
  return (
    <Card
      title="Events of this replay"
      flush
      aside={
        <>
          <Updated at={events.dataUpdatedAt} />
          <Button small onClick={() => void events.refetch()} disabled={events.isFetching}>
            Refresh
          </Button>
        </>
      }
    >
      <Loaded query={events}>
        {(data) => {
          const rows = data.pages.flatMap((page) => page.events);
          if (rows.length === 0) return <None job={job} />;
          return (
            <>
              <Tally rows={rows} whole={!events.hasNextPage} />
              <DataTable
                label="Events of this replay"
                columns={COLUMNS}
                rows={rows}
                rowKey={(row) => row.event_id}
                rowHeight={ROW_PIXELS}
                height="min(70dvh, 40rem)"
                {...(events.hasNextPage ? {} : { total: rows.length })}
                onOpen={(row) =>
                  void navigate({
                    to: "/events/$id",
                    params: { id: row.event_id },
                    search: { replay: String(row.replay) },
                  })
                }
                onEnd={() => {
                  if (events.hasNextPage && !events.isFetching) void events.fetchNextPage();
                }}
              />
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}

/** The api tells a verdict per event and no sums: the words say over how many this counts. */
function Tally({ rows, whole }: { rows: Row[]; whole: boolean }) {
  return (
    <p className="flex flex-wrap items-center gap-x-3 gap-y-1 border-line border-b px-4 py-2 text-sm">
      <span className="text-soft">
        {whole
          ? `All ${count(rows.length)} so far:`
          : `Of the first ${count(rows.length)}, as loaded:`}
      </span>
      {tally(rows).map(([verdict, number]) => (
        <span key={verdict} className="flex items-center gap-1.5">
          <span className="tabular">{count(number)}</span> <Status of={verdict} />
        </span>
      ))}
    </p>
  );
}

function None({ job }: { job: Job }) {
  if (!isOver(job))
    return (
      <Empty title="No event was replayed yet">They appear here as the job comes to them.</Empty>
    );
  return (
    <Empty title="No event was replayed">
      {job.examined > 0
        ? "All that it looked at were skipped; the counts above say why."
        : "The filter had found none, or the replay was over before it came to the first."}
    </Empty>
  );
}
