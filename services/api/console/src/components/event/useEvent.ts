import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef } from "react";
import { api } from "@/lib/api";
import { useLive } from "@/lib/live";
import type { Timeline } from "./entries";

/** The safety net for when no live update comes. */
const UNFINISHED_MS = 5_000;
const EVERY_MS = 400;

export const isFinished = (status: string) => status === "processed" || status === "failed";

/** The event and its timeline, asked again whenever something happens to it or to its deliveries. */
export function useEvent(id: string) {
  const params = { path: { event_id: id } };
  const event = api.useQuery(
    "get",
    "/events/{event_id}",
    { params },
    {
      refetchInterval: ({ state }) =>
        state.data && !isFinished(state.data.status) ? UNFINISHED_MS : false,
    },
  );
  const unfinished = event.data !== undefined && !isFinished(event.data.status);
  const timeline = api.useQuery(
    "get",
    "/events/{event_id}/timeline",
    { params },
    { refetchInterval: unfinished ? UNFINISHED_MS : false },
  );
  const refresh = useRefresh(id);
  useNewsOf(id, timeline.data, refresh);
  return { event, timeline, refresh };
}

/** Every query that is about this event is asked again; what is shown stays until the answer. */
function useRefresh(id: string): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    void client.invalidateQueries({
      predicate: ({ queryKey }) => JSON.stringify(queryKey).includes(id),
    });
  }, [client, id]);
}

function useNewsOf(id: string, timeline: Timeline | undefined, refresh: () => void): void {
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive({ kinds: ["event", "delivery"] }, ({ updates, omitted, gap }) => {
    const ids = new Set([id, ...(timeline?.entries ?? []).map(({ detail }) => detail?.id)]);
    const mine = updates.some((update) => ids.has(update.id));
    const maybe = omitted.some(({ event_type: type }) => type === null || type === timeline?.type);
    if (!mine && !maybe && !gap) return;
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      refresh();
    }, EVERY_MS);
  });
}
