import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Switch } from "@/components/Fields";
import { useMay } from "@/lib/session";
import { archiveRule, restoreRule, switchRule } from "./calls";

type Rule = {
  id: string;
  name: string;
  active: boolean;
  revision: number;
  archived_at: string | null;
};

/** The switch of a rule; it asks first, because it counts at once. */
export function ActiveSwitch({ rule, label }: { rule: Rule; label?: boolean }) {
  const may = useMay("rules:write") && rule.archived_at === null;
  // As it was when it was asked: a colleague's change must not turn the question round.
  const [asked, setAsked] = useState<Rule | null>(null);
  const { active, revision } = asked ?? rule;
  const to = !active;
  const text = rule.active ? "On" : "Off";
  if (!may) return <span className="text-sm">{text}</span>;
  return (
    <>
      <Switch
        label={label ? text : <span className="sr-only">{`${rule.name}: active`}</span>}
        checked={rule.active}
        onChange={() => setAsked(rule)}
      />
      <Confirm
        open={asked !== null}
        onClose={() => setAsked(null)}
        title={`Switch “${rule.name}” ${to ? "on" : "off"}?`}
        verb={`Switch ${to ? "on" : "off"}`}
        run={async () => {
          await switchRule(rule.id, revision, to);
          toast.success(`“${rule.name}” is ${to ? "on" : "off"}.`);
        }}
      >
        <p>
          {to
            ? "Within a second its published version, if it has one, runs for each new event of its type, and one in shadow is evaluated. Events that came meanwhile are not caught up: a replay does that."
            : "Within a second no version of it is evaluated, shadow included. Events that come meanwhile are processed without it. Deliveries that exist go on."}
        </p>
      </Confirm>
    </>
  );
}

/** What can be done with a whole rule. */
export function RuleActions({ rule, edits }: { rule: Rule; edits: boolean }) {
  const may = useMay("rules:write");
  const [asked, setAsked] = useState<Rule | null>(null);
  const archived = rule.archived_at !== null;
  return (
    <>
      {!archived && <ActiveSwitch rule={rule} label />}
      {may && (
        <Button look={archived ? "plain" : "danger"} onClick={() => setAsked(rule)}>
          {archived ? "Restore" : "Archive"}
        </Button>
      )}
      {!archived && !edits && (
        <Button asChild look="primary">
          <Link to="/rules/$id" params={{ id: rule.id }} search={{ tab: "edit" }}>
            {may ? "Edit" : "Test"}
          </Link>
        </Button>
      )}
      {asked !== null && asked.archived_at !== null && (
        <RestoreConfirm rule={asked} onClose={() => setAsked(null)} />
      )}
      {asked !== null && asked.archived_at === null && (
        <Confirm
          open
          onClose={() => setAsked(null)}
          title={`Archive “${asked.name}”?`}
          verb="Archive"
          danger
          run={async () => {
            await archiveRule(asked.id, asked.revision);
            toast.success(`“${asked.name}” is archived.`);
          }}
        >
          <p>
            It is evaluated no more, shadow included. Its versions, executions and deliveries stay,
            and deliveries that exist go on. It can be restored as it was.
          </p>
        </Confirm>
      )}
    </>
  );
}

export function RestoreConfirm({ rule, onClose }: { rule: Rule; onClose: () => void }) {
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Restore “${rule.name}”?`}
      verb="Restore"
      run={async () => {
        await restoreRule(rule.id, rule.revision);
        toast.success(`“${rule.name}” is restored.`);
      }}
    >
      <p>
        It comes back as it was: {rule.active ? "switched on" : "switched off"}, with its versions
        in their states. Events that came meanwhile are not caught up.
      </p>
    </Confirm>
  );
}
