import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Card, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, Problem, type Schemas } from "@/lib/api";
import { count, shortId } from "@/lib/format";
import { useLiveRefetch } from "@/lib/live";
import type { RuleView } from "./calls";

type Shadow = Schemas["Shadow"];

/** A version in shadow beside the published one, on the same live events. */
export function ShadowTab({ rule }: { rule: RuleView }) {
  const query = api.useQuery("get", "/rules/{rule_id}/shadow", {
    params: { path: { rule_id: rule.id } },
  });
  useLiveRefetch({ kinds: ["event"] }, () => query.refetch({ cancelRefetch: false }), 5_000);
  const missing: unknown = query.error;
  if (missing instanceof Problem && missing.slug === "not-found") {
    return (
      <Card>
        <Empty
          title="No version of this rule was ever in shadow"
          actions={
            <Button asChild>
              <Link to="/rules/$id" params={{ id: rule.id }} search={{ tab: "versions" }}>
                Choose a version
              </Link>
            </Button>
          }
        >
          A version in shadow is evaluated on live events and acts on nothing. What it would have
          done is compared with the published one here.
        </Empty>
      </Card>
    );
  }
  return (
    <Card title="Shadow against published" aside={<Updated at={query.dataUpdatedAt} />}>
      <Loaded query={query}>{(shadow) => <Compared shadow={shadow} rule={rule} />}</Loaded>
    </Card>
  );
}

function Compared({ shadow, rule }: { shadow: Shadow; rule: RuleView }) {
  const { examples } = shadow;
  const differ = shadow.only_shadow + shadow.only_live;
  const compared = shadow.both + shadow.neither + differ;
  return (
    <div className="flex flex-col gap-5 text-sm">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-medium">Version {shadow.version}</span>
        <Status of={shadow.state} />
        <span className="text-soft">
          counted since <Time at={shadow.since} />
        </span>
      </div>
      <p className="text-base">
        {shadow.looked_at === 0
          ? "No event has come since: there is nothing to compare yet."
          : compared === 0
            ? "Nothing could be compared yet."
            : differ === 0
              ? `On all ${count(compared)} compared evaluations it says the same as the published version.`
              : `On ${count(differ)} of ${count(compared)} compared evaluations it says otherwise.`}
      </p>
      {rule.published === null && (
        <p className="text-warn">Nothing is published: there is nothing to compare with.</p>
      )}
      <ul aria-label="Counts" className="grid gap-2 sm:grid-cols-2">
        <Group
          title="Only the shadow matches"
          about="publishing it would add these"
          value={shadow.only_shadow}
          ids={examples.only_shadow}
        />
        <Group
          title="Only the published matches"
          about="publishing it would end these"
          value={shadow.only_live}
          ids={examples.only_live}
        />
        <Group
          title="Errors in shadow"
          about="not compared"
          value={shadow.shadow_errors}
          ids={examples.shadow_errors}
        />
        <Group
          title="Errors of the published"
          about="not compared"
          value={shadow.live_errors}
          ids={examples.live_errors}
        />
        <Group title="Both match" about="no difference" value={shadow.both} ids={[]} />
        <Group title="Neither matches" about="no difference" value={shadow.neither} ids={[]} />
      </ul>
      <p className="text-soft text-xs">
        {count(shadow.looked_at)} evaluations on {count(shadow.events)} events of the rule’s types;{" "}
        {count(shadow.not_compared)} not compared.
        {shadow.cut_off && ` Only the newest ${count(shadow.events_max)} events were looked at.`}
      </p>
    </div>
  );
}

function Group({
  title,
  about,
  value,
  ids,
}: {
  title: string;
  about: string;
  value: number;
  ids: string[];
}) {
  return (
    <li className="min-w-0 rounded-md border border-line px-3 py-2">
      <p className="flex items-baseline justify-between gap-2">
        <span>
          {title} <span className="text-soft text-xs">({about})</span>
        </span>
        <span className="tabular font-semibold text-lg">{count(value)}</span>
      </p>
      {ids.length > 0 && (
        <details>
          <summary className="cursor-pointer text-soft text-xs hover:text-ink">
            Newest {ids.length}
          </summary>
          <ul className="mt-1 flex flex-wrap gap-x-3 gap-y-0.5">
            {ids.map((id) => (
              <li key={id}>
                <Link
                  to="/events/$id"
                  params={{ id }}
                  className="font-mono text-[13px] text-accent underline"
                  title={id}
                >
                  {shortId(id)}
                </Link>
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
