import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Failed } from "@/components/States";
import { client } from "@/lib/api";
import { count } from "@/lib/format";
import type { Search } from "@/lib/search";
import { BulkFilter } from "./BulkFilter";
import { BulkPreview } from "./BulkPreview";
import { BulkRun } from "./BulkRun";
import { fixedAtNewest, lookAt } from "./queries";
import {
  type Filter,
  filterOf,
  isEmpty,
  meantOf,
  type Preview,
  withoutContradiction,
} from "./words";

export type Act = "redrive" | "discard";
type Step = "filter" | "preview" | "run";
const STEPS: [Step, string][] = [
  ["filter", "Filter"],
  ["preview", "Preview"],
  ["run", "Run"],
];
const VERBS = { redrive: "Redrive", discard: "Discard" } as const;
export const LIMIT_MAX = 10_000;

/** Redrive or discard all that match a filter: choose, see what it would do, do it. */
export function Bulk({
  act,
  start,
  targets,
  close,
}: {
  act: Act;
  start: Search;
  targets: [string, string][];
  close: () => void;
}) {
  const [search, setSearch] = useState(start);
  const [limit, setLimit] = useState(String(LIMIT_MAX));
  const [reason, setReason] = useState("");
  const [preview, setPreview] = useState<Preview | null>(null);
  const [looked, setLooked] = useState<Filter>(() => filterOf(start));
  const [step, setStep] = useState<Step>("filter");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const meant = preview === null ? 0 : meantOf(preview);

  const go = async (run: () => Promise<Preview | undefined>, next: Step) => {
    setBusy(true);
    setError(null);
    try {
      const answer = await run();
      if (answer === undefined) return;
      setPreview(answer);
      setStep(next);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const look = async () => {
    const filter = await fixedAtNewest(filterOf(search));
    setLooked(filter);
    return await lookAt(filter, Number(limit) || 0);
  };
  // Of what the look found, and no more of them: what came since is not meant.
  const run = async () => {
    const body = { filter: looked, all: isEmpty(looked), limit: meant, dry_run: false };
    return act === "redrive"
      ? (await client.POST("/dead-letters/redrive", { body })).data
      : (await client.POST("/dead-letters/discard", { body: { ...body, reason: reason.trim() } }))
          .data;
  };
  const verb = `${VERBS[act]} ${count(meant)}`;
  return (
    <Dialog
      open
      onClose={close}
      title={`${VERBS[act]} dead letters`}
      wide
      footer={
        step === "filter" ? (
          <>
            <Button onClick={close}>Cancel</Button>
            <Button look="primary" disabled={busy} onClick={() => go(look, "preview")}>
              Preview
            </Button>
          </>
        ) : step === "preview" ? (
          <>
            <Button onClick={() => setStep("filter")}>Back</Button>
            <Button
              look={act === "discard" ? "danger" : "primary"}
              disabled={busy || meant === 0 || (act === "discard" && reason.trim() === "")}
              onClick={() => go(run, "run")}
            >
              {verb}
            </Button>
          </>
        ) : (
          <Button look="primary" onClick={close}>
            Close
          </Button>
        )
      }
    >
      <Steps step={step} />
      {step === "filter" && (
        <BulkFilter
          search={search}
          change={(part) => setSearch((before) => ({ ...before, ...withoutContradiction(part) }))}
          limit={limit}
          setLimit={setLimit}
          targets={targets}
          error={error}
        />
      )}
      {step === "preview" && preview && (
        <BulkPreview
          act={act}
          filter={looked}
          preview={preview}
          reason={reason}
          setReason={setReason}
          error={error}
        />
      )}
      {step === "run" && preview && (
        <BulkRun
          act={act}
          filter={looked}
          wider={filterOf(search)}
          requested={meant}
          matched={preview.matched}
        />
      )}
      {error !== null && <Failed error={error} />}
    </Dialog>
  );
}

function Steps({ step }: { step: Step }) {
  const at = STEPS.findIndex(([one]) => one === step);
  return (
    <ol className="mb-4 flex flex-wrap gap-x-5 gap-y-1 text-sm">
      {STEPS.map(([one, title], place) => (
        <li
          key={one}
          aria-current={one === step ? "step" : undefined}
          className={`flex items-center gap-1.5 ${one === step ? "font-medium" : "text-soft"}`}
        >
          <span
            aria-hidden
            className={`tabular flex size-5 items-center justify-center rounded-full text-xs ${place <= at ? "bg-accent text-on-accent" : "bg-sunken"}`}
          >
            {place + 1}
          </span>
          {title}
        </li>
      ))}
    </ol>
  );
}
