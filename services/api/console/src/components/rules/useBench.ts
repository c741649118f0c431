import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { client, Problem, type Schemas } from "@/lib/api";
import { type Draft, parse, partsOf } from "./draft";
import { useDebounced } from "./useDebounced";

export type Subject = { event_id: string } | { payload: string; type: string };
export type RuleTest = Schemas["RuleTest"];
const PAUSE_MS = 400;

type Asked = { body: Schemas["RuleTestBody"]; condition: unknown };

/** Tests a draft on an event by itself, shortly after the last edit; nothing is stored or sent. */
export function useBench(draft: Draft, subject: Subject, bothEngines: boolean) {
  const text = useDebounced(JSON.stringify([draft, subject, bothEngines]), PAUSE_MS);
  const asked = read(draft, subject, bothEngines);
  const isSettled = text === JSON.stringify([draft, subject, bothEngines]);
  const query = useQuery({
    queryKey: ["bench", asked?.body],
    enabled: asked !== null && isSettled,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    queryFn: async ({ signal }) => {
      if (asked === null) throw new Error("There is nothing to test yet");
      const { data } = await client.POST("/rules/test", { body: asked.body, signal });
      if (data === undefined) throw new Error("The api sent nothing back");
      return { test: data, condition: asked.condition };
    },
  });
  const refused = query.error instanceof Problem && query.error.status === 422;
  return {
    /** Neither part is sent while one of them is no JSON. */
    ready: asked !== null,
    result: query.data,
    /** The shown result is of an earlier text. */
    stale: !isSettled || query.isPlaceholderData || query.isFetching || asked === null,
    error: isSettled && asked !== null ? query.error : null,
    refused,
    retry: () => void query.refetch(),
  };
}

function fits(pattern: string): string {
  return pattern.endsWith("*") ? pattern.replace(/\*$/, "example") : "";
}

export type Bench = ReturnType<typeof useBench>;

function read(draft: Draft, subject: Subject, bothEngines: boolean): Asked | null {
  const parts = partsOf(draft);
  if (parts === null) return null;
  const event = "payload" in subject ? parse(subject.payload) : null;
  if (event?.ok === false) return null;
  // Of a pattern some type that fits, or the answer would be about one that it does not look at.
  const type = "type" in subject && subject.type ? subject.type : fits(draft.event_type);
  const body = {
    condition: parts.condition,
    // The api takes actions as objects of any shape and points at what is wrong in them.
    actions: parts.actions as unknown as Schemas["RuleTestBody"]["actions"],
    engine: draft.engine,
    both_engines: bothEngines,
    ...(draft.event_type ? { event_type: draft.event_type } : {}),
    ...("event_id" in subject ? { event_id: subject.event_id } : {}),
    ...(event?.ok ? { event: { data: event.value, ...(type ? { type } : {}) } } : {}),
  };
  return { body, condition: parts.condition };
}
