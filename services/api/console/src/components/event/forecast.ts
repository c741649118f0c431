import { client, type Schemas } from "@/lib/api";

type RuleTest = Schemas["RuleTest"];
type TestBody = Schemas["RuleTestBody"];
type Preview = Schemas["Preview"];
export type Effects = NonNullable<Schemas["ReplayBody"]["effects"]>;
export type Mode = NonNullable<Schemas["ReplayBody"]["mode"]>;

/** What a version says of an event; does nothing. */
export async function testRule(body: TestBody, signal: AbortSignal): Promise<RuleTest> {
  const { data } = await client.POST("/rules/test", { body, signal });
  if (data === undefined) throw new Error("The api sent nothing back");
  return data;
}

/** What the api says a replay of one event would do. */
export async function previewOf(
  id: string,
  mode: Mode,
  rule_versions: Record<string, number> | null,
  signal: AbortSignal,
): Promise<Preview> {
  const body = { filter: { event_ids: [id] }, mode, rule_versions };
  const { data } = await client.POST("/replays/preview", { body, signal });
  if (data === undefined) throw new Error("The api sent nothing back");
  return data;
}

export type Tested = { rule_id: string; name: string; version: number; test: RuleTest };
export type Act = {
  rule: string;
  key: string;
  what: string;
  fate: "sent" | "again" | "not again" | "not sent";
};
export type Forecast = { acts: Act[]; failing: Tested[]; matching: number; looking: number };

/** What would be sent: the actions of the rules that match, beside the deliveries that exist. */
export function forecastOf(
  tested: Tested[],
  existing: Preview["existing_deliveries"],
  effects: Effects,
): Forecast {
  const there = new Set(existing.map((row) => `${row.rule_id}/${row.action_key}`));
  const matching = tested.filter(({ test }) => test.outcome === "matched");
  const acts = matching.flatMap(({ rule_id, name, test }) =>
    test.actions
      .filter(({ type }) => type === "call_webhook" || type === "send_email")
      .map(({ key, type, params }): Act => {
        const isThere = there.has(`${rule_id}/${key}`);
        return {
          rule: name,
          key,
          what: `${type === "send_email" ? "e-mail" : "webhook"} to ${receiverOf(params)}`,
          fate: fateOf(effects, isThere),
        };
      }),
  );
  const failing = tested.filter(({ test }) => test.outcome === "failed");
  return { acts, failing, matching: matching.length, looking: tested.length };
}

function fateOf(effects: Effects, isThere: boolean): Act["fate"] {
  if (effects === "none") return "not sent";
  if (!isThere) return "sent";
  return effects === "force" ? "again" : "not again";
}

function receiverOf(params: Record<string, unknown>): string {
  const value = params.target ?? params.url ?? params.to;
  return Array.isArray(value) ? value.join(", ") : String(value ?? "its receiver");
}

const RULES: Record<Mode, string> = {
  current: "By the rules as they are now.",
  original: "By exactly the versions that the first applied run used; the results are compared.",
  pinned: "By the versions that are chosen here, and by no others.",
};
const SENT: Record<Effects, string> = {
  dedupe:
    "Nothing that was sent is sent again: a delivery that exists stays as it is, a failed one too.",
  none: "Nothing is sent at all: rules are evaluated and compared, no delivery is made.",
  force:
    "Webhooks and e-mails are sent again as new deliveries, also those that were confirmed: receivers cannot tell them from new ones by their id.",
};

/** What a replay does, before it is pressed. */
export function saidBefore(mode: Mode, effects: Effects): string {
  return `${RULES[mode]} ${SENT[effects]}`;
}
