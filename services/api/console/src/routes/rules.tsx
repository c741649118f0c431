import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Button } from "@/components/Button";
import { Card, Page } from "@/components/Page";
import { RuleFilters, type RuleSearch } from "@/components/rules/RuleFilters";
import { RuleTable } from "@/components/rules/RuleTable";
import { Empty, Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";
import { useMay } from "@/lib/session";

const route = getRouteApi("/rules");
const STATES = ["draft", "shadow", "published", "retired"] as const;

export function Rules() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay("rules:write");
  const archived = search.archived === "true";
  const state = STATES.find((each) => each === search.state);
  const query = api.useInfiniteQuery(
    "get",
    "/rules",
    {
      params: {
        query: {
          limit: 100,
          archived,
          ...(search.q ? { q: search.q } : {}),
          ...(search.event_type ? { matching: search.event_type } : {}),
          ...(state ? { state } : {}),
          ...(search.active ? { active: search.active === "true" } : {}),
        },
      },
    },
    { initialPageParam: null as string | null, getNextPageParam: (page) => page.next_cursor },
  );
  useLiveRefetch({ kinds: ["rule"] }, () => query.refetch({ cancelRefetch: false }));
  const go = (part: RuleSearch) =>
    void navigate({ to: "/rules", search: { ...search, ...part }, replace: true });
  const isFiltered = Boolean(search.q || search.event_type || search.state || search.active);
  const make = (
    <Button asChild look="primary">
      <Link to="/rules/new">New rule</Link>
    </Button>
  );
  return (
    <Page
      title="Rules"
      lead="What happens on which events. A change counts within a second."
      actions={may && make}
    >
      <RuleFilters search={search} go={go} />
      <Card flush>
        <Loaded query={query}>
          {({ pages }) => {
            const rules = pages.flatMap((page) => page.rules);
            if (rules.length > 0) {
              return (
                <RuleTable
                  rules={rules}
                  archived={archived}
                  onEnd={() => {
                    if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
                  }}
                />
              );
            }
            return (
              <None
                archived={archived}
                isFiltered={isFiltered}
                clear={() => void navigate({ to: "/rules", search: {} })}
                make={may ? make : null}
              />
            );
          }}
        </Loaded>
      </Card>
    </Page>
  );
}

function None({
  archived,
  isFiltered,
  clear,
  make,
}: {
  archived: boolean;
  isFiltered: boolean;
  clear: () => void;
  make: React.ReactNode;
}) {
  if (isFiltered)
    return (
      <Empty
        title="No rule fits these filters"
        actions={<Button onClick={clear}>Clear the filters</Button>}
      >
        {archived ? "Only archived rules are shown." : "Archived rules are not shown."}
      </Empty>
    );
  if (archived) return <Empty title="No rule is archived" />;
  return (
    <Empty title="No rule yet" actions={make}>
      Events are stored and processed without rules too; a rule makes something happen: a webhook, a
      mail, a line in the log.
    </Empty>
  );
}
