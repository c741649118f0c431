import { api, client, type Schemas } from "@/lib/api";
import { queryClient } from "@/lib/query";
import { type Draft, partsOf, type State } from "./draft";

export type RuleView = Schemas["RuleView"];
export type RuleVersion = Schemas["RuleVersion"];

/** The ETag of a rule: what is changed was read at this revision, or the api refuses (412). */
const match = (revision: number) => ({ "If-Match": `"${revision}"` });

/** Everything that was read of rules is asked for anew, after a change of ours. */
export async function refreshRules(): Promise<void> {
  await queryClient.invalidateQueries({
    predicate: ({ queryKey: [, path] }) =>
      typeof path === "string" && (path.startsWith("/rules") || path.startsWith("/backtests")),
  });
}

/** What a save answered is what a read of its version would: it need not be asked for. */
export function seedVersion(id: string, version: RuleVersion): void {
  const path = { rule_id: id, version: version.version };
  const { queryKey } = api.queryOptions("get", "/rules/{rule_id}/versions/{version}", {
    params: { path },
  });
  queryClient.setQueryData(queryKey, version);
}

async function done<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer.catch((refused: unknown) => {
    // What is shown may be old, which is why it was refused.
    void refreshRules();
    throw refused;
  });
  await refreshRules();
  if (data === undefined) throw new Error("The api sent nothing back");
  return data;
}

function content(draft: Draft) {
  const parts = partsOf(draft);
  if (parts === null) throw new Error("The condition or the actions are no JSON yet.");
  const { event_type, engine, note } = draft;
  return { event_type, engine, note: note || null, ...parts };
}

/** With an id of ours a second press, or a lost answer, makes no second rule. */
export function createRule(id: string, draft: Draft, active: boolean, state: State) {
  const body = { id, name: draft.name, active, state, ...content(draft) };
  return done(client.POST("/rules", { body }));
}

export function replaceRule(id: string, revision: number, draft: Draft, state: State) {
  const body = { name: draft.name, state, ...content(draft) };
  const params = { path: { rule_id: id }, header: match(revision) };
  return done(client.PUT("/rules/{rule_id}", { params, body }));
}

export function switchRule(id: string, revision: number, active: boolean) {
  const params = { path: { rule_id: id }, header: match(revision) };
  return done(client.PATCH("/rules/{rule_id}", { params, body: { active } }));
}

export function archiveRule(id: string, revision: number) {
  const params = { path: { rule_id: id }, header: match(revision) };
  return done(client.DELETE("/rules/{rule_id}", { params }));
}

export function restoreRule(id: string, revision: number) {
  const params = { path: { rule_id: id }, header: match(revision) };
  return done(client.POST("/rules/{rule_id}/restore", { params }));
}

export type Move = "publish" | "shadow" | "retire" | "resume";

export function moveVersion(id: string, revision: number, version: number, move: Move) {
  const init = { params: { path: { rule_id: id, version }, header: match(revision) } };
  switch (move) {
    case "publish":
      return done(client.POST("/rules/{rule_id}/versions/{version}/publish", init));
    case "shadow":
      return done(client.POST("/rules/{rule_id}/versions/{version}/shadow", init));
    case "retire":
      return done(client.POST("/rules/{rule_id}/versions/{version}/retire", init));
    case "resume":
      return done(client.POST("/rules/{rule_id}/versions/{version}/resume", init));
  }
}

export function createBacktest(id: string, body: Schemas["BacktestBody"]) {
  const params = { path: { rule_id: id } };
  return done(client.POST("/rules/{rule_id}/backtests", { params, body }));
}

export function cancelBacktest(id: string) {
  return done(
    client.POST("/backtests/{backtest_id}/cancel", { params: { path: { backtest_id: id } } }),
  );
}

/** A UUIDv7 (RFC 9562), as the api makes them: lists are in the order of their ids. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const at = Date.now().toString(16).padStart(12, "0");
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = (8 + ((bytes[8] ?? 0) & 3)).toString(16);
  const low = at.slice(8);
  return `${at.slice(0, 8)}-${low}-7${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
