import { useQueryClient } from "@tanstack/react-query";
import { Button } from "@/components/Button";
import { Charts } from "@/components/overview/Charts";
import { FirstSteps } from "@/components/overview/FirstSteps";
import { Numbers } from "@/components/overview/Numbers";
import { Partitions } from "@/components/overview/Partitions";
import { Pipeline } from "@/components/overview/Pipeline";
import { Recent } from "@/components/overview/Recent";
import { Services } from "@/components/overview/Services";
import { Card, Page, Updated } from "@/components/Page";
import { Failed, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { useLiveRefetch } from "@/lib/live";
import { useOverview } from "@/lib/overview";
import { useMay } from "@/lib/session";
import { useTestEvent } from "@/lib/testEvent";

/** Whether it works, at one glance; where not, the number that says so leads to what it counts. */
export function Overview() {
  const overview = useOverview();
  const queries = useQueryClient();
  const send = useTestEvent((failure) => {
    if (failure === null) void queries.invalidateQueries();
  });
  const writes = useMay("events:write");
  useLiveRefetch({ kinds: ["event", "delivery", "dead_letter", "rule"] }, () =>
    overview.refetch({ cancelRefetch: false }),
  );
  return (
    <Page
      title="Overview"
      lead="Every accepted event takes effect once. This is where they are now."
      actions={
        <>
          <Updated at={overview.dataUpdatedAt} />
          {writes && (
            <Button disabled={send.isPending} onClick={() => send.mutate()}>
              Send a test event
            </Button>
          )}
        </>
      }
    >
      {send.error !== null && (
        <div>
          <p className="font-medium text-bad text-sm">The test event was not sent.</p>
          <Failed error={send.error} retry={() => send.mutate()} />
        </div>
      )}
      <Loaded query={overview} rows={12}>
        {(data) => (
          <>
            <FirstSteps steps={data.checklist} send={send} />
            <Pipeline overview={data} />
            <Numbers overview={data} />
            <div className="grid items-start gap-5 xl:grid-cols-[3fr_2fr]">
              <div className="flex min-w-0 flex-col gap-5">
                <Card
                  title="Last 15 minutes"
                  aside={
                    data.series.since && (
                      <span className="text-xs">
                        watched since <Time at={data.series.since} />
                      </span>
                    )
                  }
                >
                  <Charts series={data.series} />
                </Card>
                <Recent />
              </div>
              <div className="flex min-w-0 flex-col gap-5">
                <Card title="Services" flush>
                  <Services overview={data} />
                </Card>
                <Card title="Lag per partition" flush>
                  <Partitions partitions={data.partitions} />
                </Card>
              </div>
            </div>
          </>
        )}
      </Loaded>
    </Page>
  );
}
