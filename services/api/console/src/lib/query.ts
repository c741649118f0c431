import { MutationCache, notifyManager, QueryCache, QueryClient } from "@tanstack/react-query";
import { Problem } from "./api";

// Not in a later task, as by default: a second press would come before the button knows of the first.
notifyManager.setScheduler(queueMicrotask);

const RETRIES = 2;
const SESSION = ["get", "/session", {}];

/** A refusal is an answer and is shown at once; only silence and 503 are asked again. */
export function worthAnotherTry(count: number, error: unknown): boolean {
  const passing = error instanceof Problem && (error.unreachable || error.status === 503);
  return passing && count < RETRIES;
}

/** A key that was revoked or has ended: the session is asked again, so that the sign-in page comes. */
function onRefusal(error: unknown): void {
  if (!(error instanceof Problem) || error.status !== 401) return;
  const before = queryClient.getQueryState(SESSION)?.error;
  if (before instanceof Problem && before.status === 401) return;
  void queryClient.invalidateQueries({ queryKey: SESSION }, { cancelRefetch: false });
}

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: onRefusal }),
  mutationCache: new MutationCache({ onError: onRefusal }),
  defaultOptions: {
    queries: { retry: worthAnotherTry, staleTime: 2_000, refetchOnWindowFocus: true },
    mutations: { retry: false },
  },
});
