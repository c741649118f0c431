import { type FormEvent, useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Field, Input } from "@/components/Fields";
import { Failed } from "@/components/States";
import { api, client } from "@/lib/api";
import { count } from "@/lib/format";
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
  const steps = STEPS[job.state];
  // A job that sends again may be slowed or stopped by anybody who replays, and sped up by few.
  const mayDrive = job.effects !== "force" || mayForce;
  const act = async (step: Step) => {
    await client.POST(PATHS[step], { params: { path: { job_id: job.id } } });
    toast.success(DONE[step]);
    onChange();
  };
  const pause = () =>
    act("pause").catch((error: unknown) => {
      toast.error(error instanceof Error ? error.message : String(error));
      onChange();
    });
  if (!may || !steps.cancel) return null;
  return (
    <>
      {mayDrive && <Button onClick={() => setAsking("rate")}>Change rate</Button>}
      {steps.pause && <Button onClick={pause}>Pause</Button>}
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
          {count(job.replayed)} events were replayed, and that stays. The rest is left alone. A
          cancelled replay cannot go on; a paused one can.
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
          {job.total === null
            ? "It goes on where it was paused"
            : `${count(job.total - job.examined)} events are left`}
          , at up to {count(job.rate_per_second)} events per second.
          {job.effects === "force" && " What was sent for them is sent again."}
        </p>
      </Confirm>
      {asking === "rate" && <Rate job={job} onClose={() => setAsking(null)} onChange={onChange} />}
    </>
  );
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
          toast.success(`At most ${count(changed.rate_per_second)} events per second from now on.`);
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
          <Button type="submit" look="primary" disabled={change.isPending}>
            Change rate
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
