import { Link } from "@tanstack/react-router";
import { CircleCheck, CircleDashed } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/Button";
import { Card } from "@/components/Page";
import type { Schemas } from "@/lib/api";
import { useMay } from "@/lib/session";
import type { useTestEvent } from "@/lib/testEvent";

type Step = Schemas["Overview"]["checklist"][number];

const SAYS: Record<Step["key"], string> = {
  api_up: "The api answers",
  relay_up: "The relay is up",
  consumer_up: "The consumer is up",
  dispatcher_up: "The dispatcher is up",
  event_accepted: "A first event was accepted",
  event_processed: "It was applied, once",
  rule_made: "A first rule was made",
  rule_fired: "It fired",
};

/** What a newcomer does in the first minute; it turns green by itself, and goes when all is done. */
export function FirstSteps({
  steps,
  send,
}: {
  steps: Step[];
  /** The page's own, which also shows its error. */
  send: ReturnType<typeof useTestEvent>;
}) {
  const writes = useMay("events:write");
  const rules = useMay("rules:write");
  if (steps.every((step) => step.done)) return null;
  const next = steps.find((step) => !step.done)?.key;
  const acts: Partial<Record<Step["key"], ReactNode>> = {
    event_accepted: writes && (
      <Button small look="primary" disabled={send.isPending} onClick={() => send.mutate()}>
        Send a test event
      </Button>
    ),
    rule_made: rules && (
      <Button small look="primary" asChild>
        <Link to="/rules/new">Make a rule</Link>
      </Button>
    ),
    rule_fired: writes && (
      <Button small look="primary" disabled={send.isPending} onClick={() => send.mutate()}>
        Send a test event
      </Button>
    ),
  };
  return (
    <Card
      title="First steps"
      aside={`${steps.filter((step) => step.done).length} of ${steps.length} done`}
    >
      <ol className="grid gap-x-6 gap-y-2 sm:grid-cols-2">
        {steps.map((step) => (
          <li key={step.key} className="flex min-h-8 items-center gap-2 text-sm">
            {step.done ? (
              <CircleCheck aria-label="done" className="size-4.5 shrink-0 text-ok" />
            ) : (
              <CircleDashed aria-label="to do" className="size-4.5 shrink-0 text-edge" />
            )}
            <span className={step.done ? "text-soft" : "font-medium"}>{SAYS[step.key]}</span>
            {step.key === next && acts[step.key]}
          </li>
        ))}
      </ol>
      {send.data && (
        <p className="mt-3 border-line border-t pt-3 text-sm">
          Accepted.{" "}
          <Link
            to="/events/$id"
            params={{ id: send.data.id }}
            className="text-accent underline underline-offset-2"
          >
            Watch it go through the pipeline
          </Link>
        </p>
      )}
    </Card>
  );
}
