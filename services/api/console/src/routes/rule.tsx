import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
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
  useLiveRefetch({ kinds: ["rule"] }, () => query.refetch({ cancelRefetch: false }));
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

const TABS = ["overview", "edit", "versions", "backtest", "shadow"];

function Parts({ rule }: { rule: RuleView }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const go = (next: Record<string, string | undefined>) =>
    void navigate({ to: "/rules/$id", params: { id: rule.id }, search: next, replace: true });
  const tab = TABS.find((each) => each === search.tab) ?? "overview";
  const edit = useKeptEdit(
    tab === "edit",
    search,
    (part, replace) =>
      void navigate({
        to: "/rules/$id",
        params: { id: rule.id },
        search: { tab: "edit", ...part },
        replace,
      }),
  );
  const tabs: Tab[] = [
    { id: "overview", title: "Overview", content: <RuleOverview rule={rule} /> },
    {
      id: "edit",
      title: "Edit and test",
      content: <EditTab rule={rule} search={edit.search} go={edit.go} />,
      keep: edit.begun,
    },
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
  return (
    <Tabs
      label="Parts of the rule"
      tabs={tabs}
      value={tab}
      onChange={(next) =>
        void navigate({
          to: "/rules/$id",
          params: { id: rule.id },
          search: next === "edit" ? { tab: next, ...edit.search } : { tab: next },
        })
      }
    />
  );
}

type EditSearch = { version?: string; event_id?: string };

/** What an edit was about stays while another tab is looked at, and so does its text. */
function useKeptEdit(
  isShown: boolean,
  { version, event_id }: EditSearch,
  navigate: (search: EditSearch, replace: boolean) => void,
) {
  const [begun, setBegun] = useState(isShown);
  const [kept, setKept] = useState<EditSearch>(isShown ? { version, event_id } : {});
  if (isShown && !begun) setBegun(true);
  if (isShown && (kept.version !== version || kept.event_id !== event_id)) {
    setKept({ version, event_id });
  }
  // A save may end when another tab, or another page, is in view: nobody is taken away from there.
  const shown = useRef(isShown);
  useEffect(() => {
    shown.current = isShown;
    return () => {
      shown.current = false;
    };
  }, [isShown]);
  const go = (part: EditSearch, replace = true) => {
    if (shown.current) navigate({ ...kept, ...part }, replace);
    else setKept((before) => ({ ...before, ...part }));
  };
  return { begun, search: kept, go };
}
