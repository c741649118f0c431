import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { client } from "@/lib/api";
import { useMay } from "@/lib/session";
import type { Delivery } from "./words";

const RETRIED = new Set(["pending", "failed", "unknown", "skipped"]);

/** What a person may do to a delivery. What the api would refuse is not offered. */
export function Acts({ delivery, done }: { delivery: Delivery; done: () => void }) {
  const may = useMay("deliveries:write");
  const [open, setOpen] = useState<"retry" | "resolve" | null>(null);
  if (!may) return null;
  const path = { delivery_id: delivery.id };
  const retry = async (reason: string) => {
    await client.POST("/deliveries/{delivery_id}/retry", {
      params: { path },
      body: { reason: reason.trim() || null },
    });
    toast.success("It is due now and is sent under the same webhook-id.");
    done();
  };
  return (
    <>
      {delivery.state === "unknown" && (
        <Button onClick={() => setOpen("resolve")}>Say how it ended</Button>
      )}
      {RETRIED.has(delivery.state) && (
        <Button look="primary" onClick={() => setOpen("retry")}>
          {delivery.state === "pending" ? "Send now" : "Send again"}
        </Button>
      )}
      <Confirm
        open={open === "retry"}
        onClose={() => setOpen(null)}
        title={delivery.state === "pending" ? "Send it now" : "Send it again"}
        verb={delivery.state === "pending" ? "Send now" : "Send again"}
        reason="optional"
        run={retry}
      >
        <p>
          Sends this one {noun(delivery)} now, with the same content
          {delivery.kind === "webhook" ? " and the same webhook-id" : " and the same Message-ID"}.
          Its schedule of attempts begins anew. No rule runs again and nothing else is sent.
        </p>
        {(delivery.state === "unknown" || delivery.unknown_attempts > 0) && (
          <p className="text-warn">
            An earlier attempt may have arrived. A receiver that keeps webhook-ids drops the second
            one; one that does not will have it twice.
          </p>
        )}
      </Confirm>
      <Resolve
        delivery={delivery}
        open={open === "resolve"}
        close={() => setOpen(null)}
        done={done}
      />
    </>
  );
}

function noun(delivery: Delivery): string {
  return delivery.kind === "email" ? "mail" : "webhook";
}

type Outcome = "confirmed" | "failed";
const OUTCOMES: [Outcome, string, string][] = [
  ["confirmed", "It arrived", "The receiver has it. It is not sent again."],
  ["failed", "It did not arrive", "It stays failed until somebody sends it again."],
];

function Resolve({
  delivery,
  open,
  close,
  done,
}: {
  delivery: Delivery;
  open: boolean;
  close: () => void;
  done: () => void;
}) {
  const [outcome, setOutcome] = useState<Outcome>("confirmed");
  const run = async (reason: string) => {
    await client.POST("/deliveries/{delivery_id}/resolve", {
      params: { path: { delivery_id: delivery.id } },
      body: { outcome, reason: reason.trim() },
    });
    toast.success(`Settled as ${outcome}. Nothing was sent.`);
    done();
  };
  return (
    <Confirm
      open={open}
      onClose={close}
      title="How did it end?"
      verb={`Settle as ${outcome}`}
      reason="required"
      run={run}
    >
      <p>
        Ask the receiver for webhook-id <code className="break-all">{delivery.id}</code>, then say
        what it says. This only writes it down; its dead letter is closed.
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
