import { useQuery } from "@tanstack/react-query";
import { client, type Schemas } from "@/lib/api";
import { type Effects, type Mode, previewOf, type Tested, testRule } from "./forecast";

/** A forecast asks once per rule: with more, the rules that look are named without their answer. */
export const TESTED_MAX = 12;

export type Choice = {
  mode: Mode;
  effects: Effects;
  versions: Record<string, number>;
  receipt: Schemas["ReceiptRow"] | null;
};
const NOTHING: Choice = { mode: "current", effects: "dedupe", versions: {}, receipt: null };
type Named = { rule_id: string; name: string; version: number };
export type Looked = { preview: Schemas["Preview"]; rules: Named[]; tested: Tested[] };

/**
 * What the api says a replay would do: which rules look, what they say, what exists already. Null is
 * a choice that is not complete. An answer to another choice is never shown in its place.
 */
export function useForecast(event: Schemas["EventRow"], choice: Choice | null, mayTest: boolean) {
  const { mode, versions, receipt } = choice ?? NOTHING;
  const named = mode === "pinned" ? versions : null;
  return useQuery({
    queryKey: ["forecast", event.id, event.replay, mode, named, receipt?.id ?? null, mayTest],
    enabled: choice !== null,
    staleTime: 10_000,
    queryFn: async ({ signal }): Promise<Looked> => {
      const preview = await previewOf(event.id, mode, named, signal);
      const rules = mode === "original" ? await firstRun(event.id, signal) : preview.rules;
      const few = mayTest ? rules.slice(0, TESTED_MAX) : [];
      const payload =
        receipt === null ? { event_id: event.id } : { event: asEvent(event, receipt) };
      const tested = await Promise.all(
        few.map(async ({ rule_id, name, version }) => ({
          rule_id,
          name,
          version,
          test: await testRule({ rule_id, version, ...payload }, signal),
        })),
      );
      return { preview, rules, tested };
    },
  });
}

/** The versions of the first run that was applied: its last attempt tells them. */
async function firstRun(id: string, signal: AbortSignal): Promise<Named[]> {
  const params = { path: { event_id: id } };
  const { data } = await client.GET("/events/{event_id}/attempts", { params, signal });
  const applied = data?.attempts.filter(({ status }) => status === "success") ?? [];
  const first = applied.reduce<(typeof applied)[number] | null>(
    (best, each) => (best === null || each.replay < best.replay ? each : best),
    null,
  );
  return (first?.rule_executions ?? [])
    .filter(({ shadow }) => !shadow)
    .map(({ rule_id, rule_name, version }) => ({ rule_id, name: rule_name, version }));
}

function asEvent(
  event: Schemas["EventRow"],
  receipt: Schemas["ReceiptRow"],
): Schemas["TestedEvent"] {
  const { external_id: id, type, source, subject, time } = event;
  return { data: receipt.data, id, type, source, subject, time };
}
