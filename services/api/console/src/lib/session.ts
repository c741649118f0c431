import { api, Problem, type Schemas } from "./api";
import { key } from "./key";
import { live } from "./live";
import { queryClient } from "./query";

export type Session = Schemas["Session"];
type State =
  | { state: "loading" | "signed-out" }
  | { state: "failed"; error: unknown; retry: () => void }
  /** ended: the key was good and is not any more; the page stays, with what was typed in it. */
  | { state: "ready"; session: Session; ended: boolean };

const STALE_MS = 60_000;

/** Who looks at the console and what he may do. */
export function useSession(): State {
  const query = api.useQuery("get", "/session", {}, { staleTime: STALE_MS });
  const refused = query.error instanceof Problem && query.error.status === 401;
  if (query.data !== undefined) return { state: "ready", session: query.data, ended: refused };
  if (refused) return { state: "signed-out" };
  if (query.error)
    return { state: "failed", error: query.error, retry: () => void query.refetch() };
  return { state: "loading" };
}

/** Whether a scope is there: what cannot be done is not offered. */
export function useMay(scope: Session["scopes"][number]): boolean {
  const found = useSession();
  return found.state === "ready" && found.session.scopes.includes(scope);
}

export async function signIn(value: string): Promise<void> {
  key.write(value);
  live.close();
  await queryClient.resetQueries();
}

/** Another key for the page that is open: all is asked again, and nothing of the page is lost. */
export async function signInAgain(value: string): Promise<void> {
  key.write(value);
  live.reopen();
  queryClient.removeQueries({ type: "inactive" });
  await queryClient.invalidateQueries();
}

export async function signOut(): Promise<void> {
  key.forget();
  live.close();
  queryClient.clear();
  window.location.assign("/console/");
}
