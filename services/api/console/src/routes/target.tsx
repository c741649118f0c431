import { getRouteApi, Link } from "@tanstack/react-router";
import { columnsOf } from "@/components/deliveries/columns";
import { LiveList } from "@/components/deliveries/LiveList";
import { useDeliveries } from "@/components/deliveries/list";
import { useRuleNames } from "@/components/deliveries/names";
import { STATES } from "@/components/deliveries/words";
import { Card, Page } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Acts } from "@/components/targets/Acts";
import type { Target } from "@/components/targets/form";
import { Health, Settings } from "@/components/targets/Shown";
import { Verify } from "@/components/targets/Verify";
import { api } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";

const route = getRouteApi("/targets/$id");
const EVERY_MS = 5_000;
const LIVE_EVERY_MS = 2_000;

/** One target: how it stands, its deliveries by state, and how its receiver checks what comes. */
export function TargetPage() {
  const { id } = route.useParams();
  const query = api.useQuery(
    "get",
    "/targets/{target_id}",
    { params: { path: { target_id: id } } },
    { refetchInterval: EVERY_MS },
  );
  const refetch = () => query.refetch();
  useLiveRefetch(
    { kinds: ["target", "delivery"] },
    () => query.refetch({ cancelRefetch: false }),
    LIVE_EVERY_MS,
  );
  return (
    <Page
      title={query.data?.name ?? "Target"}
      lead={query.data && <span className="break-all">{query.data.url}</span>}
      actions={query.data && <Acts target={query.data} done={refetch} />}
    >
      <Loaded query={query} rows={8}>
        {(target) => (
          <>
            <div className="grid items-start gap-5 lg:grid-cols-2">
              <Health target={target} updatedAt={query.dataUpdatedAt} />
              <Settings target={target} />
            </div>
            <DeliveriesOf target={target} />
            <Card title="How the receiver verifies the signature">
              <Verify />
            </Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function DeliveriesOf({ target }: { target: Target }) {
  const { state } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useDeliveries({ target_id: target.id, state });
  const names = { rules: new Map(useRuleNames()) };
  return (
    <div className="flex flex-col gap-3">
      <nav aria-label="Deliveries of this target by state" className="flex flex-wrap gap-1.5">
        {[undefined, ...STATES].map((each) => (
          <Link
            key={each ?? "all"}
            to="/targets/$id"
            params={{ id: target.id }}
            search={{ state: each }}
            replace
            resetScroll={false}
            aria-current={each === state ? "true" : undefined}
            className={`rounded-full border px-3 py-1 text-sm ${each === state ? "border-accent bg-accent-tint font-medium" : "border-line bg-card text-soft hover:border-edge hover:text-ink"}`}
          >
            {each ?? "all"}
          </Link>
        ))}
        <Link
          to="/dead-letters"
          search={{ destination: `target/${target.id}`, state: "open" }}
          className="ml-auto self-center text-accent text-sm hover:underline"
        >
          Its open dead letters
        </Link>
      </nav>
      <LiveList
        title="Deliveries"
        noun="delivery"
        list={list}
        columns={columnsOf(names)}
        onOpen={(row) => void navigate({ to: "/deliveries/$id", params: { id: row.id } })}
        empty={
          <Empty title={state ? `None is ${state}` : "Nothing was to be delivered to it yet"}>
            {state
              ? "The ledger has none in this state for this target."
              : "A delivery appears when an event matches a rule that names this target."}
          </Empty>
        }
      />
    </div>
  );
}
