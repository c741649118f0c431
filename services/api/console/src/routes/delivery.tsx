import { getRouteApi, Link } from "@tanstack/react-router";
import { Id } from "@/components/Code";
import { Acts } from "@/components/deliveries/Acts";
import { Attempts } from "@/components/deliveries/Attempts";
import { Outlook } from "@/components/deliveries/Outlook";
import { Request } from "@/components/deliveries/Request";
import { type Delivery, placeOf } from "@/components/deliveries/words";
import { Card, Facts, Page, Updated } from "@/components/Page";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { plural, shortId } from "@/lib/format";
import { useLive } from "@/lib/live";

const route = getRouteApi("/deliveries/$id");
const MOVES_EVERY_MS = 2_000;
const RESTS_EVERY_MS = 15_000;
const LINK = "text-accent hover:underline";

/** One delivery: how it stands, what is sent, and what each attempt taught. */
export function DeliveryPage() {
  const { id } = route.useParams();
  const query = api.useQuery(
    "get",
    "/deliveries/{delivery_id}",
    { params: { path: { delivery_id: id } } },
    {
      refetchInterval: ({ state }) => (moves(state.data) ? MOVES_EVERY_MS : RESTS_EVERY_MS),
    },
  );
  const refetch = () => query.refetch();
  useLive({ kinds: ["delivery"] }, ({ gap, updates }) => {
    if (gap || updates.some((each) => each.id === id)) void refetch();
  });
  const found = query.data;
  return (
    <Page
      title={found ? `Delivery to ${placeOf(found, found.target_name ?? undefined)}` : "Delivery"}
      lead={<Id id={id} />}
      actions={found && <Acts delivery={found} done={refetch} />}
    >
      <Loaded query={query} rows={8}>
        {(delivery) => <Shown delivery={delivery} updatedAt={query.dataUpdatedAt} />}
      </Loaded>
    </Page>
  );
}

/** Something is expected to happen within seconds. */
function moves(delivery: Delivery | undefined): boolean {
  if (delivery === undefined) return false;
  const due = delivery.next_attempt_at;
  return delivery.state === "sending" || (due !== null && Date.parse(due) < Date.now());
}

function Shown({ delivery, updatedAt }: { delivery: Delivery; updatedAt: number }) {
  const attempts = delivery.attempts.length;
  return (
    <div className="grid items-start gap-5 xl:grid-cols-[3fr_2fr]">
      <div className="flex min-w-0 flex-col gap-5">
        <Card>
          <Outlook delivery={delivery} />
        </Card>
        <Card
          title={plural(delivery.attempt_no, "attempt")}
          aside={
            <>
              {attempts < delivery.attempt_no && attempts > 0 && <span>the newest {attempts}</span>}
              <Updated at={updatedAt} />
            </>
          }
          flush
        >
          {attempts === 0 ? (
            <p className="p-4 text-soft text-sm">Nothing was tried yet.</p>
          ) : (
            <Attempts attempts={delivery.attempts} />
          )}
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-5">
        <Card title="Where it comes from">
          <Facts facts={factsOf(delivery)} />
        </Card>
        <Request delivery={delivery} />
      </div>
    </div>
  );
}

function factsOf(delivery: Delivery): [string, React.ReactNode][] {
  const facts: [string, React.ReactNode][] = [
    [
      "Event",
      <Link key="event" to="/events/$id" params={{ id: delivery.event_id }} className={LINK}>
        {delivery.event_type} {shortId(delivery.event_id)}
      </Link>,
    ],
    [
      "Rule",
      <Link key="rule" to="/rules/$id" params={{ id: delivery.rule_id }} className={LINK}>
        {delivery.rule_name}, version {delivery.rule_version}
      </Link>,
    ],
    ["Action", delivery.action_key],
  ];
  if (delivery.target_id !== null)
    facts.push([
      "Target",
      <Link key="target" to="/targets/$id" params={{ id: delivery.target_id }} className={LINK}>
        {delivery.target_name}
      </Link>,
    ]);
  else facts.push(["Destination", delivery.destination]);
  facts.push(["Made", <Time key="made" at={delivery.created_at} show="exact" />]);
  if (delivery.finished_at)
    facts.push(["Ended", <Time key="ended" at={delivery.finished_at} show="exact" />]);
  if (delivery.replay > 0) facts.push(["Replay", `number ${delivery.replay} of its event`]);
  if (delivery.repeats_id)
    facts.push([
      "Repeats",
      <Link
        key="repeats"
        to="/deliveries/$id"
        params={{ id: delivery.repeats_id }}
        className={LINK}
      >
        {shortId(delivery.repeats_id)}
      </Link>,
    ]);
  facts.push(["Trace", <Id key="trace" id={traceOf(delivery.traceparent)} />]);
  return facts;
}

/** The trace id of a traceparent header: what one searches for. */
function traceOf(traceparent: string): string {
  return traceparent.split("-")[1] ?? traceparent;
}
