import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Field, Select } from "@/components/Fields";
import { Card, Page, Updated } from "@/components/Page";
import { Progress } from "@/components/Progress";
import { EFFECTS, isOver, type Job, MODES, STATES } from "@/components/replays/words";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import { useMay } from "@/lib/session";

const route = getRouteApi("/replays");
const PAGE = 50;
const EVERY_MS = 3_000;
const ROW_PIXELS = 56;

const COLUMNS: Column<Job>[] = [
  {
    id: "reason",
    title: "Why",
    cell: (job) => (
      <>
        <Link
          to="/replays/$id"
          params={{ id: job.id }}
          className="block truncate font-medium hover:underline"
        >
          {job.reason}
        </Link>
        <span className="block truncate text-soft text-xs">
          {MODES[job.mode][0]}. {EFFECTS[job.effects][0]}.
        </span>
      </>
    ),
  },
  { id: "state", title: "State", width: "8.5rem", cell: (job) => <Status of={job.state} /> },
  {
    id: "progress",
    title: "Looked at",
    width: "16rem",
    from: "md",
    cell: (job) =>
      job.total === null ? (
        <span className="tabular text-soft text-xs">{count(job.examined)}</span>
      ) : (
        <Progress done={job.examined} total={job.total} label={`Looked at: ${job.reason}`} />
      ),
  },
  { id: "by", title: "Asked by", width: "13rem", from: "lg", cell: (job) => job.requested_by },
  {
    id: "at",
    title: "Asked for",
    width: "7rem",
    align: "right",
    from: "sm",
    cell: (job) => <Time at={job.created_at} />,
  },
];

export function Replays() {
  const { state } = route.useSearch();
  const navigate = useNavigate();
  const may = useMay("replay");
  const known = asState(state);
  const jobs = api.useInfiniteQuery(
    "get",
    "/replays",
    { params: { query: { limit: PAGE, ...(known ? { state: known } : {}) } } },
    {
      pageParamName: "cursor",
      initialPageParam: null as string | null,
      getNextPageParam: (page: Schemas["JobPage"]) => page.next_cursor ?? undefined,
      refetchInterval: (query) =>
        query.state.data?.pages[0]?.replays.some((job) => !isOver(job)) ? EVERY_MS : false,
    },
  );
  useLiveRefetch({ kinds: ["replay_job"] }, () => jobs.refetch({ cancelRefetch: false }));
  const begin = may && (
    <Button asChild look="primary">
      <Link to="/replays/new">
        <Plus aria-hidden className="size-4" /> New replay
      </Link>
    </Button>
  );
  return (
    <Page
      title="Replays"
      lead="Many events processed once more, as a job that can be watched, paused and cancelled. One event is replayed on its own page."
      actions={begin}
    >
      <Card
        flush
        title={
          <Field label={<span className="sr-only">State</span>}>
            {(props) => (
              <Select
                {...props}
                value={known ?? ""}
                onChange={(event) =>
                  void navigate({
                    to: "/replays",
                    search: event.target.value ? { state: event.target.value } : {},
                    replace: true,
                  })
                }
              >
                <option value="">every state</option>
                {STATES.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </Select>
            )}
          </Field>
        }
        aside={<Updated at={jobs.dataUpdatedAt} />}
      >
        <Loaded query={jobs}>
          {(data) => {
            const rows = data.pages.flatMap((page) => page.replays);
            if (rows.length === 0) return <None state={known} action={begin} />;
            return (
              <DataTable
                label="Replays"
                columns={COLUMNS}
                rows={rows}
                rowKey={(job) => job.id}
                rowHeight={ROW_PIXELS}
                {...(jobs.hasNextPage ? {} : { total: rows.length })}
                onOpen={(job) => void navigate({ to: "/replays/$id", params: { id: job.id } })}
              />
            );
          }}
        </Loaded>
        {jobs.hasNextPage && (
          <div className="border-line border-t p-3 text-center">
            <Button small disabled={jobs.isFetching} onClick={() => void jobs.fetchNextPage()}>
              Show older ones
            </Button>
          </div>
        )}
      </Card>
    </Page>
  );
}

function None({ state, action }: { state: Job["state"] | undefined; action: React.ReactNode }) {
  if (state) return <Empty title={`No replay is ${state}`}>Choose another state above.</Empty>;
  return (
    <Empty title="Nothing was replayed in bulk yet" actions={action}>
      After a fault at a receiver, or after a rule was mended, many events can be processed once
      more. Nothing is sent a second time unless you say so.
    </Empty>
  );
}

function asState(text: string | undefined): Job["state"] | undefined {
  return STATES.find((state) => state === text);
}
