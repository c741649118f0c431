import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import type { Move, RuleVersion, RuleView } from "./calls";
import { type Asked, MoveConfirm } from "./MoveConfirm";
import { VersionDiff } from "./VersionDiff";

type Search = { version?: string; to?: string };

/** Every version with its state, what can be done with it, and the difference of two. */
export function VersionsTab({
  rule,
  search,
  go,
}: {
  rule: RuleView;
  search: Search;
  go: (search: Search) => void;
}) {
  const [limit, setLimit] = useState(50);
  const [asked, setAsked] = useState<Asked | null>(null);
  const query = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { path: { rule_id: rule.id }, query: { limit } },
  });
  return (
    <div className="flex flex-col gap-5">
      <Card title="Versions" flush>
        <Loaded query={query}>
          {({ versions, next_cursor: more }) => (
            <>
              <ul className="divide-y divide-line">
                {versions.map((version) => (
                  <Row
                    key={version.version}
                    rule={rule}
                    version={version}
                    ask={(move) => setAsked({ rule, version, move })}
                  />
                ))}
              </ul>
              {more !== null && limit >= 200 && (
                <p className="border-line border-t p-3 text-center text-soft text-xs">
                  These are the newest 200; older ones are kept and not shown.
                </p>
              )}
              {more !== null && limit < 200 && (
                <div className="border-line border-t p-3 text-center">
                  <Button small onClick={() => setLimit(200)}>
                    Show older ones
                  </Button>
                </div>
              )}
            </>
          )}
        </Loaded>
      </Card>
      {query.data && query.data.versions.length > 1 && (
        <VersionDiff rule={rule} versions={query.data.versions} search={search} go={go} />
      )}
      {asked && <MoveConfirm asked={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Row({
  rule,
  version,
  ask,
}: {
  rule: RuleView;
  version: RuleVersion;
  ask: (move: Move) => void;
}) {
  const may = useMay("rules:write") && rule.archived_at === null;
  const { state, suspension } = version;
  const at = version.retired_at ?? version.published_at ?? version.shadowed_at;
  return (
    <li
      aria-label={`Version ${version.version}`}
      className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2 px-4 py-3"
    >
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex flex-wrap items-center gap-2 text-sm">
          <span className="font-medium">Version {version.version}</span>
          <Status of={state === "published" ? "live" : state}>
            {state === "published" ? "published" : undefined}
          </Status>
          {suspension && <Status of="suspended" />}
        </p>
        <p className="mt-0.5 text-soft text-xs">
          made <Time at={version.created_at} />
          {at !== null && state !== "draft" && (
            <>
              , {state === "shadow" ? "in shadow" : state}{" "}
              <Time at={state === "retired" ? version.retired_at : at} />
            </>
          )}
          {version.engine === "datalogic" ? "" : `, ${version.engine}`}
        </p>
        {version.note && <p className="mt-1 break-words text-sm">{version.note}</p>}
        {suspension && (
          <p className="mt-1 break-words text-sm text-warn">
            Suspended <Time at={suspension.suspended_at} /> by {suspension.consumer}:{" "}
            {suspension.reason}
          </p>
        )}
      </div>
      <div className="flex flex-wrap gap-1.5">
        {suspension && may && (
          <Button small onClick={() => ask("resume")}>
            Resume
          </Button>
        )}
        {state !== "published" && may && (
          <Button small onClick={() => ask("publish")}>
            {state === "retired" ? "Publish again" : "Publish"}
          </Button>
        )}
        {(state === "draft" || state === "retired") && may && (
          <Button small onClick={() => ask("shadow")}>
            Shadow
          </Button>
        )}
        {state !== "retired" && may && (
          <Button small look="danger" onClick={() => ask("retire")}>
            Retire
          </Button>
        )}
        <Button small asChild>
          <Link
            to="/rules/$id"
            params={{ id: rule.id }}
            search={{ tab: "edit", version: String(version.version) }}
          >
            {may ? "Edit from here" : "Open"}
          </Link>
        </Button>
      </div>
    </li>
  );
}
