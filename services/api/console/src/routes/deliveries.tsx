import { getRouteApi } from "@tanstack/react-router";
import { Button } from "@/components/Button";
import { Backlogs } from "@/components/deliveries/Backlogs";
import { columnsOf } from "@/components/deliveries/columns";
import { type Filter, FilterBar } from "@/components/deliveries/FilterBar";
import { LiveList } from "@/components/deliveries/LiveList";
import { useDeliveries } from "@/components/deliveries/list";
import { useRuleNames, useTargetNames } from "@/components/deliveries/names";
import { StateCards, useDeliveryStats } from "@/components/deliveries/StateCards";
import { STATES, UNKNOWN } from "@/components/deliveries/words";
import { Page } from "@/components/Page";
import { Empty } from "@/components/States";
import type { Search } from "@/lib/search";

const route = getRouteApi("/deliveries");
const LEAD =
  "Every webhook and mail that a rule asked for, once for each event, rule and action, with what became of it.";

export function Deliveries() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const targets = useTargetNames();
  const rules = useRuleNames();
  const stats = useDeliveryStats();
  const list = useDeliveries(search);
  const names = { targets: new Map(targets), rules: new Map(rules) };
  const change = (part: Search) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const filtered = Object.keys(search).length > 0;
  return (
    <Page title="Deliveries" lead={LEAD}>
      <StateCards query={stats} search={search} />
      {stats.data && <Backlogs backlogs={stats.data.destinations} names={names.targets} />}
      <FilterBar filters={filtersOf(targets, rules)} search={search} change={change} />
      {search.state === "unknown" && (
        <p className="rounded-md bg-warn-tint px-4 py-2.5 text-sm text-warn">
          {UNKNOWN} Ask it, then say how each one ended, or send it again.
        </p>
      )}
      <LiveList
        title="Deliveries"
        noun="delivery"
        list={list}
        columns={columnsOf(names)}
        onOpen={(row) => void navigate({ to: "/deliveries/$id", params: { id: row.id } })}
        empty={<Nothing filtered={filtered} clear={() => void navigate({ search: {} })} />}
      />
    </Page>
  );
}

function Nothing({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered)
    return (
      <Empty title="No delivery matches" actions={<Button onClick={clear}>Clear filters</Button>}>
        The ledger was asked and has none with these filters.
      </Empty>
    );
  return (
    <Empty title="Nothing was to be delivered yet">
      A delivery appears when an event matches a rule that calls a webhook or sends a mail.
    </Empty>
  );
}

function filtersOf(targets: [string, string][], rules: [string, string][]): Filter[] {
  return [
    { name: "state", label: "State", kind: "choice", choices: STATES.map((one) => [one, one]) },
    { name: "target_id", label: "Target", kind: "choice", choices: targets },
    { name: "rule_id", label: "Rule", kind: "choice", choices: rules },
    {
      name: "kind",
      label: "Kind",
      kind: "choice",
      choices: [
        ["webhook", "webhook"],
        ["email", "e-mail"],
      ],
    },
    { name: "event_id", label: "Event id", kind: "text", rare: true },
    {
      name: "destination",
      label: "Destination",
      kind: "text",
      placeholder: "https://example.com:443",
      rare: true,
    },
    { name: "created_after", label: "Made from", kind: "moment", rare: true },
    { name: "created_before", label: "Made before", kind: "moment", rare: true },
  ];
}
