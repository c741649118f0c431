import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { api } from "@/lib/api";
import { useLive } from "@/lib/live";
import { type Timeline, textOf } from "./entries";
import { Rounds } from "./rounds";

/** The safety net for when no live update comes. */
const UNFINISHED_MS = 5_000;
const EVERY_MS = 1_000;
/** News that were left out may be of this event or of any other of its type. */
const MAYBE_EVERY_MS = 5_000;

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
  useNewsOf(id, timeline.data, unfinished || isSending(timeline.data), refresh);
  return { event, timeline, refresh };
}

/** A delivery of it is still on its way. */
function isSending(timeline: Timeline | undefined): boolean {
  return (timeline?.entries ?? []).some(
    (entry) =>
      entry.kind === "delivery" && ["pending", "sending"].includes(textOf(entry, "state") ?? ""),
  );
}

/** Every answer that is about this event is asked for again; what is shown stays until then. */
function useRefresh(id: string): () => Promise<void> {
  const client = useQueryClient();
  return useCallback(
    () =>
      client.invalidateQueries({
        // Not the forecast of a replay: it stands still while somebody decides.
        predicate: ({ queryKey }) => queryKey[0] === "get" && JSON.stringify(queryKey).includes(id),
      }),
    [client, id],
  );
}

function useNewsOf(
  id: string,
  timeline: Timeline | undefined,
  isOpen: boolean,
  refresh: () => Promise<void>,
): void {
  const [rounds] = useState(() => new Rounds(refresh));
  useEffect(() => () => rounds.stop(), [rounds]);
  useLive({ kinds: ["event", "delivery"] }, ({ updates, omitted, gap }) => {
    const ids = new Set([id, ...(timeline?.entries ?? []).map(({ detail }) => detail?.id)]);
    const mine = updates.some((update) => ids.has(update.id));
    const maybe = omitted.some(({ event_type: type }) => type === null || type === timeline?.type);
    if (mine || gap) rounds.ask(EVERY_MS);
    else if (maybe && isOpen) rounds.ask(MAYBE_EVERY_MS);
  });
}
