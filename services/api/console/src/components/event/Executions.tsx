import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Badge, Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import type { Schemas } from "@/lib/api";
import { plural } from "@/lib/format";
import { useMay } from "@/lib/session";
import { duration } from "@/lib/time";
import { Trace } from "./Trace";

type Execution = Schemas["RuleExecution"];

const SKIPPED_SHOWN = 5;

/** What each rule said; those that did not match come last, and only a few of many. */
export function Executions({ executions, eventId }: { executions: Execution[]; eventId: string }) {
  const [all, setAll] = useState(false);
  const spoke = executions.filter(({ result }) => result !== "skipped");
  const skipped = executions.filter(({ result }) => result === "skipped");
  const shown = [...spoke, ...(all ? skipped : skipped.slice(0, SKIPPED_SHOWN))];
  return (
    <>
      <ul className="divide-y divide-line">
        {shown.map((execution) => (
          <One
            key={`${execution.rule_id}/${execution.version}`}
            execution={execution}
            eventId={eventId}
          />
        ))}
      </ul>
      {!all && skipped.length > SKIPPED_SHOWN && (
        <div className="border-line border-t p-3 text-center">
          <Button small onClick={() => setAll(true)}>
            Show {plural(skipped.length - SKIPPED_SHOWN, "more rule")} that did not match
          </Button>
        </div>
      )}
    </>
  );
}

const WORDS: Record<string, string> = { skipped: "no match" };

function One({ execution, eventId }: { execution: Execution; eventId: string }) {
  const [open, setOpen] = useState(false);
  const mayTest = useMay("rules:read");
  const { rule_id: id, version, result } = execution;
  return (
    <li className="flex flex-col gap-1.5 px-4 py-3 text-sm">
      <div className="flex flex-wrap items-center gap-2">
        <Status of={result}>{WORDS[result]}</Status>
        {mayTest ? (
          <Link
            to="/rules/$id"
            params={{ id }}
            search={{ tab: "versions", version: String(version) }}
            className="min-w-0 break-words font-medium hover:underline"
          >
            {execution.rule_name}
          </Link>
        ) : (
          <span className="font-medium">{execution.rule_name}</span>
        )}
        <span className="text-soft">v{version}</span>
        {execution.shadow && <Badge tone="info">in shadow: acts on nothing</Badge>}
        <span className="tabular ml-auto text-soft text-xs">
          {duration(execution.duration_us / 1000)}
        </span>
      </div>
      {execution.error_class !== null && (
        <p className="font-medium text-bad">{execution.error_class}</p>
      )}
      {execution.reason !== null && (
        <p className="break-words font-mono text-[13px]">{execution.reason}</p>
      )}
      {execution.reason_note !== null && (
        <p className="text-soft text-xs">{execution.reason_note}</p>
      )}
      <Actions actions={execution.actions} />
      {mayTest && (
        <div>
          <Button
            small
            look="quiet"
            aria-expanded={open}
            className="-ml-2"
            onClick={() => setOpen(!open)}
          >
            {open ? "Hide the steps" : "Show the steps"}
          </Button>
          {open && <Trace ruleId={id} version={version} eventId={eventId} />}
        </div>
      )}
    </li>
  );
}

function Actions({ actions }: { actions: Schemas["ActionResult"][] }) {
  if (actions.length === 0) return null;
  return (
    <ul className="flex flex-col gap-1">
      {actions.map((action) => (
        <li key={action.key} className="flex flex-wrap items-center gap-2">
          <span aria-hidden className="text-soft">
            →
          </span>
          {action.delivery_id ? (
            <Link
              to="/deliveries/$id"
              params={{ id: action.delivery_id }}
              className="text-accent underline underline-offset-2"
            >
              {action.key}
            </Link>
          ) : (
            <span>{action.key}</span>
          )}
          <span className="text-soft">{action.type.replaceAll("_", " ")}</span>
          <Status of={action.outcome} />
          {action.why && <span className="min-w-0 break-words text-soft">{action.why}</span>}
        </li>
      ))}
    </ul>
  );
}
