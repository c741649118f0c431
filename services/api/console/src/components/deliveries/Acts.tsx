import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { client } from "@/lib/api";
import { useMay } from "@/lib/session";
import type { Delivery } from "./words";

const RETRIED = new Set(["pending", "failed", "unknown", "skipped"]);

/** What a person may do to a delivery. What the api would refuse is not offered. */
export function Acts({ delivery, done }: { delivery: Delivery; done: () => Promise<unknown> }) {
  const may = useMay("deliveries:write");
  // As it was when it was asked: what happens meanwhile must not turn the question round.
  const [asked, setAsked] = useState<{ act: "retry" | "resolve"; of: Delivery } | null>(null);
  if (!may) return null;
  const close = () => setAsked(null);
  return (
    <>
      {delivery.state === "unknown" && (
        <Button onClick={() => setAsked({ act: "resolve", of: delivery })}>Say how it ended</Button>
      )}
      {RETRIED.has(delivery.state) && (
        <Button look="primary" onClick={() => setAsked({ act: "retry", of: delivery })}>
          {delivery.state === "pending" ? "Send now" : "Send again"}
        </Button>
      )}
      {asked?.act === "retry" && <Retry delivery={asked.of} close={close} done={done} />}
      {asked?.act === "resolve" && <Resolve delivery={asked.of} close={close} done={done} />}
    </>
  );
}

type Asked = { delivery: Delivery; close: () => void; done: () => Promise<unknown> };

/** What a receiver can know it by: the same at every attempt. */
function identityOf(delivery: Delivery): string {
  return delivery.kind === "email" ? "Message-ID" : "webhook-id";
}

function Retry({ delivery, close, done }: Asked) {
  const identity = identityOf(delivery);
  const isLater = delivery.state === "pending";
  return (
    <Confirm
      open
      onClose={close}
      title={isLater ? "Send it now" : "Send it again"}
      verb={isLater ? "Send now" : "Send again"}
      reason="optional"
      run={async (reason) => {
        await client.POST("/deliveries/{delivery_id}/retry", {
          params: { path: { delivery_id: delivery.id } },
          body: { reason: reason.trim() || null },
        });
        toast.success(`It is due now and is sent under the same ${identity}.`);
        await done();
      }}
    >
      <p>
        Sends this one {delivery.kind === "email" ? "mail" : "webhook"} now, with the same content
        and the same {identity}. Its schedule of attempts begins anew. No rule runs again and
        nothing else is sent.
        {(delivery.state === "failed" || delivery.state === "unknown") &&
          " Its dead letter is closed as redriven."}
      </p>
      {(delivery.state === "unknown" || delivery.unknown_attempts > 0) && (
        <p className="text-warn">
          An earlier attempt may have arrived. A receiver that keeps each {identity} drops the
          second one; one that does not will have it twice.
        </p>
      )}
    </Confirm>
  );
}

type Outcome = "confirmed" | "failed";
const OUTCOMES: [Outcome, string, string][] = [
  ["confirmed", "It arrived", "The receiver has it. It is not sent again."],
  ["failed", "It did not arrive", "It stays failed until somebody sends it again."],
];

function Resolve({ delivery, close, done }: Asked) {
  const [outcome, setOutcome] = useState<Outcome>("confirmed");
  const run = async (reason: string) => {
    await client.POST("/deliveries/{delivery_id}/resolve", {
      params: { path: { delivery_id: delivery.id } },
      body: { outcome, reason: reason.trim() },
    });
    toast.success(`Settled as ${outcome}. Nothing was sent.`);
    await done();
  };
  return (
    <Confirm
      open
      onClose={close}
      title="How did it end?"
      verb={`Settle as ${outcome}`}
      reason="required"
      run={run}
    >
      <p>
        Ask the receiver for {identityOf(delivery)} <code className="break-all">{delivery.id}</code>
        , then say what it says. This only writes it down; its dead letter is closed.
      </p>
      <fieldset className="flex flex-col gap-2">
        <legend className="sr-only">Outcome</legend>
        {OUTCOMES.map(([value, title, means]) => (
          <label
            key={value}
            className="flex cursor-pointer items-start gap-2 rounded-md border border-line p-2.5 has-checked:border-accent has-checked:bg-accent-tint"
          >
            <input
              type="radio"
              name="outcome"
              value={value}
              checked={outcome === value}
              onChange={() => setOutcome(value)}
              className="mt-1 accent-[var(--accent)]"
            />
            <span>
              <span className="font-medium">{title}</span>
              <span className="block text-soft">{means}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Confirm>
  );
}
