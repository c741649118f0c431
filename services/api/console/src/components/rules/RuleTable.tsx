import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Badge, Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { useMay } from "@/lib/session";
import { ActiveSwitch, RestoreConfirm } from "./RuleActions";
import { allInWords } from "./summary";

type Rule = Schemas["RuleListed"];
const ROW_PIXELS = 54;
const HEAD_PIXELS = 36;

const NAME: Column<Rule> = {
  id: "name",
  title: "Rule",
  cell: (rule) => (
    <div className="min-w-0">
      <Link
        to="/rules/$id"
        params={{ id: rule.id }}
        className="block truncate font-medium hover:underline"
        title={rule.name}
      >
        {rule.name}
      </Link>
      {rule.suspended && (
        <span className="sm:hidden">
          <Status of="suspended" />
        </span>
      )}
      <span className="block truncate text-soft text-xs">
        on <code className="font-mono">{rule.event_type}</code>
        <span className="lg:hidden">: {allInWords(rule.actions)}</span>
      </span>
    </div>
  ),
};
const DOES: Column<Rule> = {
  id: "does",
  title: "What it does",
  from: "lg",
  cell: (rule) => <span title={allInWords(rule.actions)}>{allInWords(rule.actions)}</span>,
};
const VERSIONS: Column<Rule> = {
  id: "versions",
  title: "Versions",
  width: "16rem",
  from: "sm",
  cell: (rule) => <Versions rule={rule} />,
};
const CHANGED: Column<Rule> = {
  id: "changed",
  title: "Changed",
  width: "6.5rem",
  align: "right",
  from: "xl",
  cell: (rule) => <Time at={rule.updated_at} />,
};
const ACTIVE: Column<Rule> = {
  id: "active",
  title: "Active",
  width: "5rem",
  cell: (rule) => <ActiveSwitch rule={rule} />,
};
const RESTORE: Column<Rule> = {
  id: "restore",
  title: "Archived",
  width: "7rem",
  cell: (rule) => <Restore rule={rule} />,
};

export function RuleTable({
  rules,
  archived,
  onEnd,
}: {
  rules: Rule[];
  archived: boolean;
  onEnd: () => void;
}) {
  const navigate = useNavigate();
  return (
    <DataTable
      label="Rules"
      columns={[NAME, DOES, VERSIONS, CHANGED, archived ? RESTORE : ACTIVE]}
      rows={rules}
      rowKey={(rule) => rule.id}
      rowHeight={ROW_PIXELS}
      height={`min(70dvh, ${rules.length * ROW_PIXELS + HEAD_PIXELS}px)`}
      onOpen={(rule) => void navigate({ to: "/rules/$id", params: { id: rule.id } })}
      onEnd={onEnd}
    />
  );
}

/** Which versions count, in one line; what is suspended comes first, because nobody expects it. */
function Versions({ rule }: { rule: Rule }) {
  const { published_version: live, shadow_version: shadow, draft_version: draft } = rule;
  return (
    <span className="flex flex-wrap items-center gap-1">
      {rule.suspended && <Status of="suspended" />}
      {live !== null && <Status of="live">v{live} live</Status>}
      {shadow !== null && <Status of="shadow">v{shadow} shadow</Status>}
      {draft !== null && <span className="text-soft text-xs">v{draft} draft</span>}
      {live === null && shadow === null && draft === null && <Badge>all retired</Badge>}
    </span>
  );
}

function Restore({ rule }: { rule: Rule }) {
  const may = useMay("rules:write");
  const [asked, setAsked] = useState<Rule | null>(null);
  if (!may) return <Time at={rule.archived_at} />;
  return (
    <>
      <Button small aria-label={`Restore ${rule.name}`} onClick={() => setAsked(rule)}>
        Restore
      </Button>
      {asked && <RestoreConfirm rule={asked} onClose={() => setAsked(null)} />}
    </>
  );
}
