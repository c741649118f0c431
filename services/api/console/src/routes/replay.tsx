import { getRouteApi, Link } from "@tanstack/react-router";
import { Button } from "@/components/Button";
import { Id } from "@/components/Code";
import { Card, Facts, Page } from "@/components/Page";
import { FilterFacts } from "@/components/replays/FilterFacts";
import { JobActions } from "@/components/replays/JobActions";
import { JobEvents } from "@/components/replays/JobEvents";
import { JobProgress, JobTimes } from "@/components/replays/JobProgress";
import { EFFECTS, isOver, MODES } from "@/components/replays/words";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { count } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";

const route = getRouteApi("/replays/$id");
const EVERY_MS = 2_000;

/** One bulk replay: how far it is, what came of it, who asked for it and why. */
export function ReplayPage() {
  const { id } = route.useParams();
  const job = api.useQuery(
    "get",
    "/replays/{job_id}",
    { params: { path: { job_id: id } } },
    {
      refetchInterval: (query) =>
        query.state.data && !isOver(query.state.data) ? EVERY_MS : false,
    },
  );
  const refetch = () => void job.refetch();
  useLiveRefetch({ kinds: ["replay_job"] }, () => job.refetch({ cancelRefetch: false }));
  return (
    <Page
      title="Replay"
      lead={job.data?.reason}
      actions={
        <>
          <Button asChild>
            <Link to="/replays">All replays</Link>
          </Button>
          {job.data && <JobActions job={job.data} onChange={refetch} />}
        </>
      }
    >
      <Loaded query={job}>
        {(found) => (
          <div className="flex flex-col gap-5">
            <JobProgress job={found} />
            <div className="grid gap-5 lg:grid-cols-2">
              <Card title="Which events, and when">
                <FilterFacts filter={found.filter} />
                <div className="mt-3 border-line border-t pt-3">
                  <JobTimes job={found} />
                </div>
              </Card>
              <Card title="How, by whom and why">
                <Facts
                  facts={[
                    ["Rules", MODES[found.mode][0]],
                    ["Sending", EFFECTS[found.effects][0]],
                    ["Rate", `at most ${count(found.rate_per_second)} events per second`],
                    ["Asked by", found.requested_by],
                    ["Reason", found.reason],
                    ["Id", <Id key="id" id={found.id} />],
                  ]}
                />
              </Card>
            </div>
            <JobEvents job={found} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}
