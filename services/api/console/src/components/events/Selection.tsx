import { RotateCcw } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Progress } from "@/components/Progress";
import { client, Problem } from "@/lib/api";
import { plural } from "@/lib/format";
import { RequestKeys } from "@/lib/freshKey";

export const SELECTED_MAX = 50;

type Refusal = { id: string; said: string };

/** Replays some events one by one. What is refused stays selected and says why. */
export function Selection({
  ids,
  keep,
}: {
  ids: string[];
  /** What stays selected afterwards. */
  keep: (ids: string[]) => void;
}) {
  const [isAsking, setAsking] = useState(false);
  const [done, setDone] = useState<number | null>(null);
  const [refused, setRefused] = useState<Refusal[]>([]);
  const [keys] = useState(() => new RequestKeys());
  const replay = async () => {
    setRefused([]);
    const found: Refusal[] = [];
    for (const [place, id] of ids.entries()) {
      setDone(place);
      const said = await replayOne(id, keys.of(id));
      if (said === null) keys.answered(id);
      else found.push({ id, said });
    }
    setDone(null);
    setRefused(found);
    keep(found.map((each) => each.id));
    const accepted = ids.length - found.length;
    if (accepted > 0) toast.success(`${plural(accepted, "event")} replayed`);
  };
  if (ids.length === 0) return null;
  return (
    <section
      aria-label="Selected events"
      className="flex flex-wrap items-center gap-x-3 gap-y-2 border-line border-b bg-accent-tint px-4 py-2 text-sm"
    >
      <span className="font-medium">{plural(ids.length, "event")} selected</span>
      {ids.length >= SELECTED_MAX && (
        <span className="text-soft text-xs">
          {SELECTED_MAX} at most; for more, replay all that match.
        </span>
      )}
      <span className="ml-auto flex gap-2">
        <Button small onClick={() => setAsking(true)}>
          <RotateCcw aria-hidden className="size-3.5" /> Replay selected…
        </Button>
        <Button small look="quiet" onClick={() => keep([])}>
          Clear
        </Button>
      </span>
      <Refusals refused={refused.filter((each) => ids.includes(each.id))} />
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`Replay ${plural(ids.length, "event")}`}
        verb="Replay"
        run={replay}
      >
        <p>
          {ids.length === 1 ? "It is" : "Each is"} processed once more by the rules as they are now.
          What was sent is not sent again; a rule that did not act before may send now.
        </p>
        {done !== null && <Progress done={done} total={ids.length} label="Replayed" />}
      </Confirm>
    </section>
  );
}

function Refusals({ refused }: { refused: Refusal[] }) {
  const reasons = [...new Set(refused.map((each) => each.said))];
  if (reasons.length === 0) return null;
  return (
    <div role="alert" className="basis-full text-bad text-xs">
      <ul>
        {reasons.map((said) => (
          <li key={said}>
            {plural(refused.filter((each) => each.said === said).length, "event")} not replayed:{" "}
            {said}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Why it was not replayed, or null. */
async function replayOne(id: string, key: string): Promise<string | null> {
  try {
    await client.POST("/events/{event_id}/replay", {
      params: { path: { event_id: id }, header: { "Idempotency-Key": key } },
      body: {
        mode: "current",
        effects: "dedupe",
        rule_versions: null,
        receipt: null,
        reason: null,
      },
    });
    return null;
  } catch (error) {
    return error instanceof Problem ? error.detail || error.title : String(error);
  }
}
