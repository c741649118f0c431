import { useMemo } from "react";
import { operatorWords, type Words } from "@/components/editor/words";
import { api, type Schemas } from "@/lib/api";
import { useMay } from "@/lib/session";
import { takesType, templateVariables, variables } from "./paths";

export const RECENT = 50;
const FOR_LONG = 300_000;
export type RecentEvent = Schemas["EventRow"];

/** The newest events that a rule of this type would look at. */
export function useRecentEvents(eventType: string) {
  const may = useMay("events:read");
  const isPattern = eventType.endsWith("*");
  const known = api.useQuery(
    "get",
    "/event-types",
    { params: { query: { seen: true, limit: 200 } } },
    { enabled: may && isPattern && eventType !== "*", staleTime: 30_000 },
  );
  // The api filters by an exact type: of a pattern the first type that events have is looked at.
  const fitting = known.data?.event_types.find(
    ({ type, seen }) => seen && takesType(eventType, type),
  );
  const type = isPattern ? fitting?.type : eventType || undefined;
  const exact = type !== undefined;
  const query = api.useQuery(
    "get",
    "/events",
    { params: { query: { limit: RECENT, ...(exact ? { type } : {}) } } },
    { enabled: may, staleTime: 10_000 },
  );
  const all = query.data?.events;
  const events = useMemo(
    () => all?.filter((event) => exact || eventType === "" || takesType(eventType, event.type)),
    [all, exact, eventType],
  );
  return { may, query, events };
}

/** What the two editors can offer. */
export function useVocabulary(eventType: string, engine: string) {
  const { events } = useRecentEvents(eventType);
  const operators = api.useQuery("get", "/rules/operators", {}, { staleTime: FOR_LONG });
  const mayTargets = useMay("deliveries:read");
  const targets = api.useQuery(
    "get",
    "/targets",
    { params: { query: { limit: 100 } } },
    { enabled: mayTargets, staleTime: 30_000 },
  );
  return useMemo(() => {
    const seen = events ?? [];
    const shared = {
      operators: operatorWords(operators.data?.operators ?? [], engine),
      paths: variables(seen),
      templates: templateVariables(seen),
      targets: (targets.data?.targets ?? []).map(({ name }) => name),
    };
    const condition: Words = { kind: "condition", ...shared };
    const actions: Words = { kind: "actions", ...shared };
    return { condition, actions, targets: shared.targets, paths: shared.paths };
  }, [events, operators.data, targets.data, engine]);
}
