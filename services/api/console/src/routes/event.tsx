import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { Button } from "@/components/Button";
import { AttemptsTab } from "@/components/event/AttemptsTab";
import { DeliveriesTab } from "@/components/event/DeliveriesTab";
import { Head } from "@/components/event/Head";
import { HeadActions } from "@/components/event/HeadActions";
import { PayloadTab } from "@/components/event/PayloadTab";
import { ReplaysTab } from "@/components/event/ReplaysTab";
import { TimelineTab } from "@/components/event/TimelineTab";
import { useEvent } from "@/components/event/useEvent";
import { Page } from "@/components/Page";
import { Empty, Failed, Loaded, Loading } from "@/components/States";
import { type Tab, Tabs } from "@/components/Tabs";
import { Problem } from "@/lib/api";
import { useHotkeys } from "@/lib/hotkeys";
import { useMay } from "@/lib/session";

const route = getRouteApi("/events/$id");
const ReplayDialog = lazy(async () => ({
  default: (await import("@/components/event/ReplayDialog")).ReplayDialog,
}));

const TABS = ["timeline", "payload", "attempts", "deliveries", "replays"] as const;
type TabName = (typeof TABS)[number];

/** One event: what became of it, and everything that happened to it. */
export function EventPage() {
  const { id } = route.useParams();
  // Nothing that was chosen for one event is left when the next one is shown.
  return <OneEvent key={id} id={id} />;
}

function OneEvent({ id }: { id: string }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { event, timeline, refresh } = useEvent(id);
  const mayReplay = useMay("replay");
  const mayWriteRules = useMay("rules:write");
  const mayReadDeliveries = useMay("deliveries:read");
  // What the replay dialog starts with: null is closed, a receipt is a kept payload.
  const [replaying, setReplaying] = useState<{ receipt: number | null } | null>(null);
  const row = event.data;
  const replayIt = (receipt: number | null = null) => setReplaying({ receipt });
  useHotkeys({ r: () => replayIt() }, mayReplay && row !== undefined);

  if (row === undefined) return <NoEvent id={id} query={event} />;
  const tab = TABS.find((name) => name === search.tab) ?? "timeline";
  const show = (name: string) =>
    void navigate({ search: { tab: name === "timeline" ? undefined : name }, replace: true });
  const tabs: (Tab & { id: TabName })[] = [
    {
      id: "timeline",
      title: "Timeline",
      content: (
        <Loaded query={timeline} rows={10}>
          {(data) => (
            <TimelineTab timeline={data} updatedAt={timeline.dataUpdatedAt} run={search.replay} />
          )}
        </Loaded>
      ),
    },
    {
      id: "payload",
      title: "Payload",
      content: <PayloadTab event={row} onReplay={mayReplay ? replayIt : undefined} />,
    },
    { id: "attempts", title: "Attempts and rules", content: <AttemptsTab eventId={id} /> },
    {
      id: "deliveries",
      title: "Deliveries",
      content: <DeliveriesTab eventId={id} timeline={timeline.data} />,
    },
    {
      id: "replays",
      title: row.replay === 0 ? "Replays" : `Replays (${row.replay})`,
      content: (
        <ReplaysTab
          eventId={id}
          open={search.replay}
          onOpen={(replay) => void navigate({ search: { tab: "replays", replay }, replace: true })}
          onReplay={mayReplay ? () => replayIt() : undefined}
        />
      ),
    },
  ];
  return (
    <Page
      title={row.type}
      actions={
        <HeadActions
          event={row}
          onReplay={() => replayIt()}
          mayReplay={mayReplay}
          mayWriteRules={mayWriteRules}
        />
      }
    >
      <Head event={row} timeline={timeline.data} />
      <Tabs
        label="About this event"
        value={tab}
        onChange={show}
        tabs={tabs.filter((each) => mayReadDeliveries || each.id !== "deliveries")}
      />
      {replaying !== null && (
        <Suspense fallback={null}>
          <ReplayDialog
            event={row}
            timeline={timeline.data}
            receipt={replaying.receipt}
            onClose={() => setReplaying(null)}
            onDone={(replay) => {
              setReplaying(null);
              refresh();
              void navigate({ search: { replay: String(replay) } });
            }}
          />
        </Suspense>
      )}
    </Page>
  );
}

/** There is no such event, or it is not known yet whether there is. */
function NoEvent({ id, query }: { id: string; query: { error: unknown; refetch: () => unknown } }) {
  const isMissing = query.error instanceof Problem && query.error.status === 404;
  return (
    <Page title={isMissing ? "No such event" : "Event"}>
      {isMissing ? (
        <Empty
          title="No event has this id"
          actions={
            <>
              <Button asChild>
                <Link to="/events">All events</Link>
              </Button>
              <Button asChild>
                <Link to="/events" search={{ external_id: id }}>
                  Find it as an external id
                </Link>
              </Button>
            </>
          }
        >
          <code className="break-all font-mono text-[13px]">{id}</code> may have been mistyped, or
          is the id that the sender gave it.
        </Empty>
      ) : query.error ? (
        <Failed error={query.error} retry={() => query.refetch()} />
      ) : (
        <Loading rows={10} />
      )}
    </Page>
  );
}
