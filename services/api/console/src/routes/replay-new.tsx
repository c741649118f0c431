import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Card, Page } from "@/components/Page";
import { type Asked, previewBody } from "@/components/replays/asked";
import { Choices } from "@/components/replays/Choices";
import { FilterFacts } from "@/components/replays/FilterFacts";
import { FilterForm } from "@/components/replays/FilterForm";
import { type Filter, readFilter, type Unusable } from "@/components/replays/filter";
import { PreviewView } from "@/components/replays/PreviewView";
import { Start } from "@/components/replays/Start";
import { Empty, Failed, Loading } from "@/components/States";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";

const route = getRouteApi("/replays/new");
const DEFAULTS: Asked = { mode: "current", effects: "dedupe", versions: {} };
// A preview is not asked again by itself: its numbers must stand still while somebody decides.
const STILL = { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false };

export function NewReplay() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay("replay");
  const [filtered, setFiltered] = useState(false);
  // Kept after the address has lost them, so that the warning stands beside the count.
  const [left, setLeft] = useState<Unusable[]>([]);
  const { filter, unusable } = readFilter(search);
  if (!may) return <Forbidden />;
  return (
    <Page
      title="New replay"
      lead="Processes many events once more. First choose which, then see what it would do, then decide how."
    >
      <Dropped unusable={unusable.length > 0 ? unusable : left} />
      <Card
        title="1. Which events"
        aside={
          filtered ? (
            <Button small onClick={() => setFiltered(false)}>
              Change
            </Button>
          ) : undefined
        }
      >
        {filtered ? (
          <FilterFacts filter={filter} />
        ) : (
          <FilterForm
            key={JSON.stringify(search)}
            search={search}
            onSubmit={(next) => {
              void navigate({ to: "/replays/new", search: next, replace: true });
              setLeft(unusable.length > 0 ? unusable : left);
              setFiltered(true);
            }}
          />
        )}
      </Card>
      {filtered && unusable.length === 0 && <Decide key={JSON.stringify(filter)} filter={filter} />}
    </Page>
  );
}

/** Steps two and three. The first preview fixes the end of the range for everything after it. */
function Decide({ filter }: { filter: Filter }) {
  const [asked, setAsked] = useState(DEFAULTS);
  const first = api.useQuery(
    "post",
    "/replays/preview",
    { body: previewBody(filter, DEFAULTS, null) },
    { ...STILL, gcTime: 0 },
  );
  const before = first.data?.received_before ?? null;
  const body = previewBody(filter, asked, before);
  const lacking = asked.mode === "pinned" && Object.keys(asked.versions).length === 0;
  const chosen = api.useQuery(
    "post",
    "/replays/preview",
    { body },
    { ...STILL, enabled: before !== null && !lacking && asked !== DEFAULTS },
  );
  if (first.data === undefined) {
    return (
      <Card title="2. What it would do">
        {first.error ? (
          <Failed error={first.error} retry={() => first.refetch()} />
        ) : (
          <Loading rows={4} />
        )}
      </Card>
    );
  }
  const preview = asked === DEFAULTS ? first.data : chosen.data;
  return (
    <>
      <Card title="2. What it would do" aside="counted now; nothing has been changed">
        {preview ? (
          <PreviewView preview={preview} />
        ) : lacking ? (
          <p className="text-soft text-sm">Name at least one rule below, and this is counted.</p>
        ) : chosen.error ? (
          <Failed error={chosen.error} retry={() => chosen.refetch()} />
        ) : (
          <Loading rows={4} />
        )}
      </Card>
      <Card title="3. How">
        <div className="flex flex-col gap-5">
          <Choices asked={asked} onChange={setAsked} />
          <Start body={body} preview={preview} waiting={chosen.isFetching} />
        </div>
      </Card>
    </>
  );
}

/** A link from the events list had conditions that a replay does not know. */
function Dropped({ unusable }: { unusable: Unusable[] }) {
  if (unusable.length === 0) return null;
  return (
    <section
      aria-label="Conditions that a replay cannot use"
      className="rounded-md bg-warn-tint px-4 py-3 text-sm text-warn"
    >
      <p className="font-medium">This is not the filter of the list that you came from.</p>
      <ul className="mt-1 list-inside list-disc">
        {unusable.map(({ name, value, why }) => (
          <li key={name} className="break-words">
            <code className="font-mono text-[13px]">
              {name}={value}
            </code>{" "}
            {why}
          </li>
        ))}
      </ul>
      <p className="mt-1">The preview leaves this out: look at its count before you start.</p>
    </section>
  );
}

function Forbidden() {
  return (
    <Page title="New replay">
      <Card>
        <Empty
          title="You may not replay events"
          actions={
            <Button asChild>
              <Link to="/replays">See replays</Link>
            </Button>
          }
        >
          It needs a key with the scope <code>replay</code>.
        </Empty>
      </Card>
    </Page>
  );
}
