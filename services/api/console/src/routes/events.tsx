import { Link } from "@tanstack/react-router";
import { ChartNoAxesColumn, RefreshCw } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Actions } from "@/components/events/Actions";
import { Chips } from "@/components/events/Chips";
import { EventList } from "@/components/events/EventList";
import { Facets, useFacets } from "@/components/events/Facets";
import { FilterBar } from "@/components/events/FilterBar";
import { type EventFilters, isEmpty } from "@/components/events/filters";
import { SavedFilters } from "@/components/events/SavedFilters";
import { StatCards, useStats } from "@/components/events/StatCards";
import { useRefused } from "@/components/events/useEventList";
import { useFilters } from "@/components/events/useFilters";
import { Switch } from "@/components/Fields";
import { Page } from "@/components/Page";
import { Empty, Failed, Stale } from "@/components/States";
import { useMay } from "@/lib/session";
import { useTestEvent } from "@/lib/testEvent";

/** Every event, newest first, narrowed by what the address says. */
export function Events() {
  const { filters, change, replaceAll } = useFilters();
  const [isLive, setLive] = useState(true);
  const [asked, setAsked] = useState(0);
  const [failure, setFailure] = useState<unknown>(null);
  const [withCounts, setWithCounts] = useState(false);
  const stats = useStats(isLive);
  const facets = useFacets(filters, isLive);
  const refused = useRefused(filters);
  const valuesOf = (name: "type" | "source") =>
    facets.data?.[name].values.map((each) => each.value) ?? [];
  const total = isEmpty(filters) ? stats.data?.total : undefined;
  const refresh = () => {
    setAsked(asked + 1);
    void stats.refetch();
    void facets.refetch();
  };
  return (
    <Page
      title="Events"
      actions={
        <>
          {!isLive && (
            <Button onClick={refresh}>
              <RefreshCw aria-hidden className="size-4" /> Refresh
            </Button>
          )}
          <div className="mr-2">
            <Switch label="Live" checked={isLive} onChange={setLive} />
          </div>
          <Actions filters={filters} onFailure={setFailure} />
        </>
      }
    >
      <div className="flex flex-col gap-3">
        {failure !== null && <Failed error={failure} />}
        {stats.error && <Stale error={stats.error} retry={() => void stats.refetch()} />}
        <StatCards stats={stats.data} status={filters.status} />
        <FilterBar
          filters={filters}
          change={change}
          faults={refused}
          types={valuesOf("type")}
          sources={valuesOf("source")}
        >
          <SavedFilters filters={filters} apply={replaceAll} />
          <Button
            className="flex-1 xl:hidden sm:flex-none"
            aria-expanded={withCounts}
            onClick={() => setWithCounts(!withCounts)}
          >
            <ChartNoAxesColumn aria-hidden className="size-4" /> Counts
          </Button>
        </FilterBar>
        <Chips filters={filters} change={change} />
        <div className="grid items-start gap-4 xl:grid-cols-[12.5rem_minmax(0,1fr)]">
          <aside aria-label="Counts" className={`${withCounts ? "" : "hidden"} xl:block`}>
            {refused.length === 0 && <Facets query={facets} filters={filters} change={change} />}
          </aside>
          <EventList
            filters={filters}
            isLive={isLive}
            total={total}
            asked={asked}
            empty={<NoEvents filters={filters} clear={() => replaceAll({})} fail={setFailure} />}
          />
        </div>
      </div>
    </Page>
  );
}

function NoEvents({
  filters,
  clear,
  fail,
}: {
  filters: EventFilters;
  clear: () => void;
  fail: (error: unknown) => void;
}) {
  const maySend = useMay("events:write");
  const send = useTestEvent(fail);
  if (!isEmpty(filters)) {
    return (
      <Empty
        title="No event matches this filter"
        actions={<Button onClick={clear}>Clear all filters</Button>}
      >
        Type, source, subject and external id must be whole; the search finds parts of them. Events
        that arrive later and match are shown here.
      </Empty>
    );
  }
  return (
    <Empty
      title="No event has arrived yet"
      actions={
        <>
          {maySend && (
            <Button look="primary" disabled={send.isPending} onClick={() => send.mutate()}>
              Send a test event
            </Button>
          )}
          <Button asChild>
            <Link to="/reference" search={{ q: "POST /events" }}>
              How to send events
            </Link>
          </Button>
        </>
      }
    >
      Whatever is sent to <code className="font-mono">POST /events</code>, and each step of an
      order, is listed here the moment it is accepted.
    </Empty>
  );
}
