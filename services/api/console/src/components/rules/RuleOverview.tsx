import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Json } from "@/components/Code";
import { Card, Facts } from "@/components/Page";
import { Empty } from "@/components/States";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { plural } from "@/lib/format";
import type { RuleVersion, RuleView } from "./calls";
import { Executions } from "./Executions";
import { ActionList } from "./summary";
import { written } from "./trace";

/** What a rule does now, who evaluates it, and where it applied last. */
export function RuleOverview({ rule }: { rule: RuleView }) {
  const shown = rule.published ?? rule.shadow ?? rule.draft;
  return (
    <div className="flex flex-col gap-5">
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        {shown === null ? (
          <Card title="What it does">
            <Empty title="Every version is retired">
              The rule does nothing. Publish a version again, or write a new one.
            </Empty>
          </Card>
        ) : (
          <Content version={shown} />
        )}
        <Standing rule={rule} />
      </div>
      <Executions rule={rule} />
    </div>
  );
}

function Content({ version }: { version: RuleVersion }) {
  const title =
    version.state === "published" ? "What it does" : `What version ${version.version} would do`;
  return (
    <Card title={title} aside={`Version ${version.version}, ${version.state}`}>
      <div className="flex flex-col gap-4 text-sm">
        {version.suspension && (
          <p role="alert" className="break-words rounded-md bg-warn-tint p-3 text-warn">
            Suspended <Time at={version.suspension.suspended_at} />: it is not evaluated.{" "}
            {version.suspension.reason} Resume it under Versions.
          </p>
        )}
        <Facts
          facts={[
            [
              "On events of",
              <code key="type" className="font-mono">
                {version.event_type}
              </code>,
            ],
            [
              "When",
              version.condition === true ? (
                "always"
              ) : (
                <code key="when" className="break-words font-mono text-[13px]">
                  {written(version.condition)}
                </code>
              ),
            ],
            ["Then", <ActionList key="then" actions={version.actions} />],
            ...(version.note ? [["Note", version.note] as [string, string]] : []),
          ]}
        />
        <details>
          <summary className="cursor-pointer text-soft hover:text-ink">As JSON</summary>
          <div className="mt-2">
            <Json
              label="The version"
              value={{ condition: version.condition, actions: version.actions }}
            />
          </div>
        </details>
      </div>
    </Card>
  );
}

function Standing({ rule }: { rule: RuleView }) {
  const other = (version: RuleVersion | null) =>
    version === null ? <span className="text-soft">none</span> : `version ${version.version}`;
  return (
    <Card title="Where it stands">
      <Facts
        facts={[
          ["Evaluated", <Consumers key="by" rule={rule} />],
          ["Published", other(rule.published)],
          ["In shadow", other(rule.shadow)],
          ["Newest draft", other(rule.draft)],
          ["Engine", (rule.published ?? rule.shadow ?? rule.draft)?.engine ?? "none"],
          ["Changed", <Time key="changed" at={rule.updated_at} />],
          ["Made", <Time key="made" at={rule.created_at} />],
        ]}
      />
      <div className="mt-4 flex flex-wrap gap-2">
        <Button small asChild>
          <Link to="/events" search={{ rule_id: rule.id }}>
            Its events
          </Link>
        </Button>
        <Button small asChild>
          <Link to="/deliveries" search={{ rule_id: rule.id }}>
            Its deliveries
          </Link>
        </Button>
      </div>
    </Card>
  );
}

/** Whether every consumer that is alive has seen the present rules: then a change is live. */
function Consumers({ rule }: { rule: RuleView }) {
  const query = api.useQuery("get", "/rules/live", {}, { refetchInterval: 10_000 });
  if (rule.archived_at !== null) return <Status of="archived">not: it is archived</Status>;
  if (!rule.active) return <Status of="paused">not: it is switched off</Status>;
  if (rule.published === null && rule.shadow === null) return "not: nothing is published";
  if (query.data === undefined) return query.error ? "unknown" : "…";
  const alive = query.data.readers.filter((each) => each.alive && each.service === "consumer");
  const behind = alive.filter((each) => !each.up_to_date).length;
  if (alive.length === 0) return <Status of="silent">by nobody: no consumer runs</Status>;
  if (behind > 0)
    return (
      <Status of="waiting">
        {plural(behind, "consumer")} of {alive.length} not yet up to date
      </Status>
    );
  return <Status of="up">by {plural(alive.length, "consumer")}, up to date</Status>;
}
