import { api } from "@/lib/api";

const STALE_MS = 60_000;
const NAMED_MAX = 200;

/** The newest names, for choices and for rows that only say an id. */
export function useTargetNames(): [string, string][] {
  const query = api.useQuery(
    "get",
    "/targets",
    { params: { query: { limit: NAMED_MAX } } },
    { staleTime: STALE_MS },
  );
  return query.data?.targets.map(({ id, name }) => [id, name]) ?? [];
}

export function useRuleNames(): [string, string][] {
  const query = api.useQuery(
    "get",
    "/rules",
    { params: { query: { limit: NAMED_MAX } } },
    { staleTime: STALE_MS },
  );
  return query.data?.rules.map(({ id, name }) => [id, name]) ?? [];
}
