import { Link } from "@tanstack/react-router";
import { CircleCheck, CircleQuestionMark, CircleX } from "lucide-react";
import { Card, Updated } from "@/components/Page";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { Tip } from "@/components/Tip";
import { api, type Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";

type Facts = Schemas["Invariants"];
type Key = Facts["facts"][number]["key"];

const EVERY_MS = 2_000;
const TITLES: Record<Key, string> = {
  accepted: "Accepted",
  published: "Published",
  applied: "Applied",
  duplicates_dropped: "Duplicates dropped",
  applied_twice: "Applied twice",
  lost: "Lost",
  unpublished: "in the outbox",
  parked: "parked",
  discarded: "discarded",
  in_flight: "in flight",
  waiting: "waiting behind their key",
  dead_lettered: "dead letters",
  superseded: "superseded by a replay",
};
const FIRST: Key[] = [
  "accepted",
  "published",
  "applied",
  "duplicates_dropped",
  "applied_twice",
  "lost",
];

/** The promises, counted in the tables while one looks: one look for all open consoles. */
export function Invariants() {
  const query = api.useQuery("get", "/invariants", {}, { refetchInterval: EVERY_MS });
  return (
    <Card title="Do the promises hold?" aside={<Updated at={query.dataUpdatedAt} />}>
      <Loaded query={query} rows={3}>
        {(data) => <Counted data={data} />}
      </Loaded>
    </Card>
  );
}

function Counted({ data }: { data: Facts }) {
  const by = new Map(data.facts.map((fact) => [fact.key, fact]));
  const rest = data.facts.filter((fact) => !FIRST.includes(fact.key) && fact.count > 0);
  return (
    <div className="flex flex-col gap-4">
      <Verdict data={data} />
      <dl className="grid grid-cols-2 gap-x-6 gap-y-4 sm:grid-cols-3 xl:grid-cols-6">
        {FIRST.map((key) => {
          const fact = by.get(key);
          if (fact === undefined) return null;
          return (
            <div key={key}>
              <dt className="text-soft text-xs">
                <Tip text={fact.says}>
                  <button
                    type="button"
                    className="cursor-help underline decoration-dotted underline-offset-2"
                  >
                    {TITLES[key]}
                  </button>
                </Tip>
              </dt>
              <dd
                className={`tabular font-semibold text-3xl tracking-tight ${fact.verdict === "broken" ? "text-bad" : fact.verdict === "holds" ? "text-ok" : ""}`}
              >
                {count(fact.count)}
              </dd>
            </div>
          );
        })}
      </dl>
      <p className="text-soft text-sm">
        {data.exact ? "All records" : `The newest ${plural(data.looked_at, "record")}`} accepted
        since <Time at={data.exact ? data.since : (data.oldest_at ?? data.since)} show="exact" />.
        {rest.length > 0 &&
          ` Not applied yet: ${rest.map((fact) => `${count(fact.count)} ${TITLES[fact.key]}`).join(", ")}.`}
        {data.dropped.length > 0 &&
          ` Dropped: ${data.dropped.map((each) => `${each.exact === false ? "at least " : ""}${count(each.count)} ${each.verdict.replaceAll("_", " ")}`).join(", ")}.`}
      </p>
      {data.lost_examples.length > 0 && (
        <ul className="rounded-md bg-bad-tint p-3 text-sm">
          {data.lost_examples.map((each) => (
            <li key={each.outbox_id}>
              <Link to="/events/$id" params={{ id: each.event_id }} className="underline">
                {each.event_type}
              </Link>{" "}
              at {each.topic}/{each.partition}/{each.offset} left no trace
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const HELD = {
  Icon: CircleCheck,
  tint: "bg-ok-tint text-ok",
  says: "Nothing lost and nothing applied twice was found",
};
const BROKEN = {
  Icon: CircleX,
  tint: "bg-bad-tint text-bad",
  says: "A promise is broken: see what is red",
};
const NOT_KNOWN = {
  Icon: CircleQuestionMark,
  tint: "bg-warn-tint text-warn",
  says: "Not known: the consumer has passed none of these records yet",
};

function Verdict({ data }: { data: Facts }) {
  const empty = data.looked_at === 0 ? "Not known: nothing was accepted in this time" : null;
  const { Icon, tint, says } = data.holds === null ? NOT_KNOWN : data.holds ? HELD : BROKEN;
  return (
    <p
      role="status"
      className={`flex w-fit items-center gap-2 rounded-md px-3 py-2 font-medium text-sm ${tint}`}
    >
      <Icon aria-hidden className="size-4.5" />
      {(data.holds === null && empty) || says}
    </p>
  );
}
