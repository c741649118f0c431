import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Page } from "@/components/Page";
import { BacktestTab } from "@/components/rules/BacktestTab";
import type { RuleView } from "@/components/rules/calls";
import { EditTab } from "@/components/rules/EditTab";
import { RuleActions } from "@/components/rules/RuleActions";
import { RuleOverview } from "@/components/rules/RuleOverview";
import { ShadowTab } from "@/components/rules/ShadowTab";
import { VersionsTab } from "@/components/rules/VersionsTab";
import { Loaded } from "@/components/States";
import { type Tab, Tabs } from "@/components/Tabs";
import { api } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";

const route = getRouteApi("/rules/$id");

export function RulePage() {
  const { id } = route.useParams();
  const { tab } = route.useSearch();
  const query = api.useQuery("get", "/rules/{rule_id}", { params: { path: { rule_id: id } } });
  useLiveRefetch({ kinds: ["rule"] }, () => void query.refetch());
  const rule = query.data;
  return (
    <Page
      title={rule?.name ?? "Rule"}
      lead={rule && <Lead rule={rule} />}
      actions={rule && <RuleActions rule={rule} edits={tab === "edit"} />}
    >
      <Loaded query={query}>{(loaded) => <Parts key={loaded.id} rule={loaded} />}</Loaded>
    </Page>
  );
}

function Lead({ rule }: { rule: RuleView }) {
  const shown = rule.published ?? rule.shadow ?? rule.draft;
  const suspended = [rule.published, rule.shadow].some((each) => each?.suspension);
  return (
    <span className="flex flex-wrap items-center gap-2">
      {shown && (
        <span>
          on <code className="font-mono">{shown.event_type}</code>
        </span>
      )}
      {rule.archived_at !== null && <Status of="archived" />}
      {suspended && <Status of="suspended" />}
    </span>
  );
}

function Parts({ rule }: { rule: RuleView }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const go = (next: Record<string, string | undefined>) =>
    void navigate({ to: "/rules/$id", params: { id: rule.id }, search: next, replace: true });
  const tabs: Tab[] = [
    { id: "overview", title: "Overview", content: <RuleOverview rule={rule} /> },
    { id: "edit", title: "Edit and test", content: <EditTab rule={rule} search={search} /> },
    {
      id: "versions",
      title: "Versions",
      content: (
        <VersionsTab
          rule={rule}
          search={search}
          go={(part) => go({ tab: "versions", ...search, ...part })}
        />
      ),
    },
    {
      id: "backtest",
      title: "Backtest",
      content: (
        <BacktestTab
          rule={rule}
          chosen={search.backtest}
          choose={(backtest) => go({ tab: "backtest", backtest })}
        />
      ),
    },
    { id: "shadow", title: "Shadow", content: <ShadowTab rule={rule} /> },
  ];
  const tab = tabs.find(({ id }) => id === search.tab)?.id ?? "overview";
  return (
    <Tabs
      label="Parts of the rule"
      tabs={tabs}
      value={tab}
      onChange={(next) =>
        void navigate({ to: "/rules/$id", params: { id: rule.id }, search: { tab: next } })
      }
    />
  );
}
