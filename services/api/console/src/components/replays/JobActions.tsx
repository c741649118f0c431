import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Field, Input } from "@/components/Fields";
import { Failed } from "@/components/States";
import { api, client } from "@/lib/api";
import { count, plural } from "@/lib/format";
import { useMay } from "@/lib/session";
import { type Job, STEPS } from "./words";

type Step = "pause" | "resume" | "cancel";
const PATHS = {
  pause: "/replays/{job_id}/pause",
  resume: "/replays/{job_id}/resume",
  cancel: "/replays/{job_id}/cancel",
} as const;
const DONE: Record<Step, string> = {
  pause: "Paused. What was replayed stays.",
  resume: "It goes on.",
  cancel: "Cancelled. What was replayed stays.",
};

/** What can still be done with a job; what its state or a missing scope forbids is not offered. */
export function JobActions({ job, onChange }: { job: Job; onChange: () => void }) {
  const may = useMay("replay");
  const mayForce = useMay("replay:force");
  const [asking, setAsking] = useState<"resume" | "cancel" | "rate" | null>(null);
  const [pausing, setPausing] = useState(false);
  const steps = STEPS[job.state];
  // A job that sends again may be slowed or stopped by anybody who replays, and sped up by few.
  const mayDrive = job.effects !== "force" || mayForce;
  const act = async (step: Step) => {
    await client.POST(PATHS[step], { params: { path: { job_id: job.id } } });
    toast.success(DONE[step]);
    onChange();
  };
  const pause = () => {
    setPausing(true);
    return act("pause")
      .catch((error: unknown) => {
        toast.error(error instanceof Error ? error.message : String(error));
        onChange();
      })
      .finally(() => setPausing(false));
  };
  // What is being asked stays when the job ends meanwhile: the answer then says why it came to nothing.
  if (!may || (!steps.cancel && asking === null)) return null;
  return (
    <>
      {mayDrive && <Button onClick={() => setAsking("rate")}>Change rate</Button>}
      {steps.pause && (
        <Button busy={pausing} onClick={pause}>
          Pause
        </Button>
      )}
      {steps.resume && mayDrive && (
        <Button look="primary" onClick={() => setAsking("resume")}>
          Resume
        </Button>
      )}
      <Button look="danger" onClick={() => setAsking("cancel")}>
        Cancel
      </Button>
      <Confirm
        open={asking === "cancel"}
        onClose={() => setAsking(null)}
        title="Cancel this replay?"
        verb="Cancel the replay"
        keep={job.state === "paused" ? "Keep it paused" : "Keep it running"}
        danger
        run={() => act("cancel")}
      >
        <p>
          {plural(job.replayed, "event")} {job.replayed === 1 ? "was" : "were"} replayed, and that
          stays. The rest is left alone. A cancelled replay cannot go on; a paused one can.
        </p>
      </Confirm>
      <Confirm
        open={asking === "resume"}
        onClose={() => setAsking(null)}
        title="Go on with this replay?"
        verb="Resume"
        danger={job.effects === "force"}
        run={() => act("resume")}
      >
        <p>
          {job.total === null ? "It goes on where it was paused" : leftOf(job.total - job.examined)}
          , at up to {plural(job.rate_per_second, "event")} per second.
          {job.effects === "force" && " What was sent for them is sent again."}
        </p>
      </Confirm>
      {asking === "rate" && <Rate job={job} onClose={() => setAsking(null)} onChange={onChange} />}
    </>
  );
}

function leftOf(number: number): string {
  return `${plural(number, "event")} ${number === 1 ? "is" : "are"} left`;
}

function Rate({ job, onClose, onChange }: { job: Job; onClose: () => void; onChange: () => void }) {
  const [rate, setRate] = useState(String(job.rate_per_second));
  const change = api.useMutation("patch", "/replays/{job_id}");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate(
      { params: { path: { job_id: job.id } }, body: { rate_per_second: Number(rate) } },
      {
        onSuccess: (changed) => {
          toast.success(
            `At most ${plural(changed.rate_per_second, "event")} per second from now on.`,
          );
          onChange();
          onClose();
        },
      },
    );
  };
  return (
    <Dialog open onClose={onClose} title="Change rate">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Events per second, at most">
          {(props) => (
            <Input
              {...props}
              type="number"
              min={1}
              step={1}
              required
              value={rate}
              onChange={(event) => setRate(event.target.value)}
            />
          )}
        </Field>
        {change.error && <Failed error={change.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep {count(job.rate_per_second)}</Button>
          <Button type="submit" look="primary" busy={change.isPending}>
            Change rate
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
