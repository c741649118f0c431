import { useRef, useState } from "react";
import { toast } from "sonner";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Failed, Loaded } from "@/components/States";
import { api, client, type Schemas } from "@/lib/api";
import { useLive } from "@/lib/live";
import { useMay } from "@/lib/session";
import { LetterFacts } from "./LetterFacts";
import { Payload } from "./Payload";
import { DISCARD_MEANS, type Letter, REDRIVE_MEANS, STAGE_MEANS, stageOf } from "./words";

const MOVES_EVERY_MS = 1_000;
const RESTS_EVERY_MS = 10_000;
type Full = Schemas["DeadLetter"];

/** One dead letter beside the list. */
export function LetterDrawer({
  id,
  close,
  changed,
}: {
  id: string;
  close: () => void;
  changed: () => void;
}) {
  const query = api.useQuery(
    "get",
    "/dead-letters/{letter_id}",
    { params: { path: { letter_id: id } } },
    {
      refetchInterval: ({ state }) =>
        state.data?.letter.state.endsWith("_requested") ? MOVES_EVERY_MS : RESTS_EVERY_MS,
    },
  );
  useLive({ kinds: ["dead_letter"] }, ({ gap, updates }) => {
    if (gap || updates.some((each) => each.id === id)) void query.refetch();
  });
  const done = () => {
    void query.refetch();
    changed();
  };
  const letter = query.data?.letter;
  return (
    <Dialog
      open
      side
      onClose={close}
      title={letter?.error_class ?? "Dead letter"}
      lead={letter && STAGE_MEANS[stageOf(letter)]}
      footer={letter && <Acts letter={letter} done={done} />}
    >
      <Loaded query={query} rows={8}>
        {(found) => <Shown found={found} />}
      </Loaded>
    </Dialog>
  );
}

function Shown({ found }: { found: Full }) {
  const { letter } = found;
  const attempts = useRef(letter.attempts);
  const failedAgain = letter.state === "open" && letter.attempts > attempts.current;
  return (
    <div className="flex flex-col gap-4 text-sm">
      <div className="flex flex-wrap items-center gap-2">
        <Status of={letter.state} />
        {letter.state.endsWith("_requested") && (
          <span className="text-soft">the {stageOf(letter)} carries it out in a moment</span>
        )}
      </div>
      <p className="break-words text-base">{letter.error_message}</p>
      {failedAgain && (
        <p role="status" className="rounded-md bg-bad-tint px-3 py-2 text-bad">
          It was redriven and failed again, so it is open as before.
        </p>
      )}
      <KeyNote letter={letter} />
      <LetterFacts letter={letter} />
      <Payload found={found} />
    </div>
  );
}

// A record that no accepted event stands behind: nothing of its key ever waits for it.
const NOT_OURS = new Set(["UnknownEvent", "ForgedRecord", "UnknownReplay"]);

/** Whether later events of the key wait: what makes one dead letter urgent. */
function KeyNote({ letter }: { letter: Letter }) {
  const type = letter.event_type;
  const inKey = letter.stage !== "delivery" && letter.kafka_key !== null;
  const asks = inKey && letter.state === "open" && type !== null;
  const query = api.useQuery(
    "get",
    "/event-types/{event_type}",
    { params: { path: { event_type: type ?? "" } } },
    { enabled: asks && !NOT_OURS.has(letter.error_class) },
  );
  if (!inKey || letter.state !== "open") return null;
  if (letter.event_id === null || NOT_OURS.has(letter.error_class))
    return (
      <p className="text-soft">No accepted event stands behind it, so nothing waits for it.</p>
    );
  if (query.data === undefined) return null;
  if (query.data.key_policy === "pass")
    return (
      <p className="text-soft">
        Later events of key {letter.kafka_key} pass it: {type} is set to let them.
      </p>
    );
  return (
    <p className="rounded-md bg-warn-tint px-3 py-2 text-warn">
      Later events of key <span className="break-all font-medium">{letter.kafka_key}</span> wait
      behind this one until it is redriven or discarded. {type} is set to wait.
    </p>
  );
}

function Acts({ letter, done }: { letter: Letter; done: () => void }) {
  const may = useMay("dead-letters:write");
  const [asks, setAsks] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  if (!may) return null;
  const stage = stageOf(letter);
  const params = { path: { letter_id: letter.id } };
  const redrive = async () => {
    setBusy(true);
    setError(null);
    try {
      await client.POST("/dead-letters/{letter_id}/redrive", { params });
      toast.success("A redrive was asked for.");
      done();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const discard = async (reason: string) => {
    await client.POST("/dead-letters/{letter_id}/discard", {
      params,
      body: { reason: reason.trim() },
    });
    toast.success("A discard was asked for.");
    done();
  };
  return (
    <>
      {error !== null && <Failed error={error} />}
      {letter.state === "open" && (
        <>
          <p className="mr-auto w-full text-soft text-xs">{one(REDRIVE_MEANS[stage])}</p>
          <Button look="danger" onClick={() => setAsks(true)}>
            Discard…
          </Button>
          <Button look="primary" busy={busy} onClick={redrive}>
            Redrive
          </Button>
        </>
      )}
      <Confirm
        open={asks}
        onClose={() => setAsks(false)}
        title="Discard this dead letter"
        verb="Discard"
        danger
        reason="required"
        run={discard}
      >
        <p>{one(DISCARD_MEANS[stage])}</p>
      </Confirm>
    </>
  );
}

/** The sentence about many, said about one. */
function one(text: string): string {
  return text.replace(/^Each record/, "The record").replace(/^Each/, "It");
}
