import { api } from "./api";
import { useLiveRefetch } from "./live";

const EVERY_MS = 5_000;

/** The one snapshot that the overview, the fault strip and the checklist share. */
export function useOverview() {
  const query = api.useQuery("get", "/overview", {}, { refetchInterval: EVERY_MS });
  useLiveRefetch({ kinds: ["fault"] }, () => query.refetch({ cancelRefetch: false }));
  return query;
}
