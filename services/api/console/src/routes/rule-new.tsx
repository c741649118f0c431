import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Button } from "@/components/Button";
import { Card, Page } from "@/components/Page";
import type { Draft } from "@/components/rules/draft";
import { NewRuleForm } from "@/components/rules/NewRuleForm";
import { TEMPLATES } from "@/components/rules/templates";
import type { Subject } from "@/components/rules/useBench";
import { useRecentEvents } from "@/components/rules/useVocabulary";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";

const route = getRouteApi("/rules/new");

export function NewRule() {
  const search = route.useSearch();
  // Where it began. Testing on another event changes the address, and what was written stays.
  const [eventId] = useState(search.event_id);
  return (
    <Page
      title="New rule"
      lead="Says what happens on events of a type. It is tested while you write; nothing runs before you publish it."
    >
      {eventId === undefined ? <Begin /> : <FromEvent id={eventId} />}
    </Page>
  );
}

/** The event that it shall be about gives the type and is what it is tested on. */
function FromEvent({ id }: { id: string }) {
  const may = useMay("events:read");
  const query = api.useQuery(
    "get",
    "/events/{event_id}",
    { params: { path: { event_id: id } } },
    { enabled: may },
  );
  if (!may) return <Begin />;
  return <Loaded query={query}>{(event) => <Begin type={event.type} />}</Loaded>;
}

function Begin({ type }: { type?: string }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [pasted, setPasted] = useState<Subject | null>(null);
  const mayTargets = useMay("deliveries:read");
  const targets = api.useQuery(
    "get",
    "/targets",
    { params: { query: { limit: 1 } } },
    { enabled: mayTargets, staleTime: 30_000 },
  );
  const wanted = search.event_type ?? type;
  const { events } = useRecentEvents(draft?.event_type ?? wanted ?? "");
  const newest = events?.[0]?.id;
  // The first test needs no click: it takes the newest event of the type.
  const [first, setFirst] = useState<string | undefined>(undefined);
  useEffect(() => {
    if (first === undefined && newest !== undefined && draft !== null) setFirst(newest);
  }, [first, newest, draft]);
  const found = search.event_id ?? first;
  const subject: Subject =
    pasted ?? (found === undefined ? { payload: "{}", type: "" } : { event_id: found });
  const onSubject = (next: Subject) => {
    const isEvent = "event_id" in next;
    setPasted(isEvent ? null : next);
    void navigate({
      to: "/rules/new",
      search: { ...search, event_id: isEvent ? next.event_id : undefined },
      replace: true,
    });
  };
  const begin = (place: number) => {
    const template = TEMPLATES[place];
    const made = template?.make(targets.data?.targets[0]?.name);
    if (made) setDraft({ ...made, event_type: wanted ?? made.event_type });
  };
  if (draft !== null) {
    return (
      <NewRuleForm draft={draft} onChange={setDraft} subject={subject} onSubject={onSubject} />
    );
  }
  return (
    <Card title={wanted ? `Begin from, for events of ${wanted}` : "Begin from"} flush>
      <ul className="divide-y divide-line">
        {TEMPLATES.map((template, place) => (
          <li
            key={template.id}
            className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 py-3"
          >
            <div className="min-w-0 flex-1 basis-64">
              <p className="font-medium text-sm">{template.title}</p>
              <p className="text-soft text-sm">{template.about}</p>
            </div>
            <Button small aria-label={`Begin here: ${template.title}`} onClick={() => begin(place)}>
              Begin here
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}
