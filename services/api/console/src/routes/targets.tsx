import { getRouteApi } from "@tanstack/react-router";
import { Button } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { type Filter, FilterBar } from "@/components/deliveries/FilterBar";
import { Card, Page, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { COLUMNS } from "@/components/targets/columns";
import { useTargets } from "@/components/targets/list";
import { NewTarget } from "@/components/targets/NewTarget";
import type { Search } from "@/lib/search";

const route = getRouteApi("/targets");
const LEAD =
  "Where webhooks go. Each target has its own limits and circuit breaker, so that a slow one never delays the others.";
const FILTERS: Filter[] = [
  { name: "name", label: "Name, exactly", kind: "text" },
  {
    name: "disabled",
    label: "Disabled",
    kind: "choice",
    choices: [
      ["true", "only disabled"],
      ["false", "only enabled"],
    ],
  },
  {
    name: "archived",
    label: "Archived",
    kind: "choice",
    none: "not archived",
    choices: [["true", "only archived"]],
  },
];
const ROW_PIXELS = 56;
const HEAD_PIXELS = 36;

export function Targets() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { query, rows } = useTargets(search);
  const open = (id: string) => void navigate({ to: "/targets/$id", params: { id } });
  const change = (part: Search) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const filtered = Object.keys(search).length > 0;
  return (
    <Page title="Targets" lead={LEAD} actions={<NewTarget made={open} />}>
      <FilterBar filters={FILTERS} search={search} change={change} />
      <Card title="Targets" aside={<Updated at={query.dataUpdatedAt} />} flush>
        <Loaded query={{ ...query, data: rows }}>
          {(targets) =>
            targets.length === 0 ? (
              <Nothing filtered={filtered} clear={() => void navigate({ search: {} })} />
            ) : (
              <DataTable
                label="Targets"
                columns={COLUMNS}
                rows={targets}
                rowKey={({ id }) => id}
                rowHeight={ROW_PIXELS}
                height={`min(70dvh, ${targets.length * ROW_PIXELS + HEAD_PIXELS}px)`}
                onOpen={({ id }) => open(id)}
                onEnd={() => {
                  if (query.hasNextPage && !query.isFetching) void query.fetchNextPage();
                }}
                {...(query.hasNextPage ? {} : { total: targets.length })}
              />
            )
          }
        </Loaded>
      </Card>
    </Page>
  );
}

function Nothing({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered)
    return (
      <Empty title="No target matches" actions={<Button onClick={clear}>Clear filters</Button>} />
    );
  return (
    <Empty title="There is no target yet">
      Make one, then let a rule name it. A rule can also call a URL of its own, without a target.
    </Empty>
  );
}
