import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { plural } from "@/lib/format";
import { duration, useNow } from "@/lib/time";
import { StandingSentence } from "../targets/health";
import { type Delivery, UNKNOWN } from "./words";

const TARGET_EVERY_MS = 5_000;

/** How it stands and what comes next: the answer of the page. */
export function Outlook({ delivery }: { delivery: Delivery }) {
  return (
    <div className="flex flex-col gap-2 text-sm">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Status of={delivery.state} />
        <span className="text-soft">after {plural(delivery.attempt_no, "attempt")}</span>
        {delivery.unknown_attempts > 0 && delivery.state !== "unknown" && (
          <span className="text-warn">
            {plural(delivery.unknown_attempts, "attempt")} may have arrived
          </span>
        )}
      </div>
      <p className="max-w-prose text-base">
        <Sentence delivery={delivery} />
      </p>
      {delivery.state === "pending" && delivery.target_id && <Target id={delivery.target_id} />}
      {delivery.dead_letter_state === "open" && (
        <p className="text-soft">
          Its{" "}
          <Link
            to="/dead-letters"
            search={{ delivery_id: delivery.id, state: "all", letter: letterOf(delivery) }}
            className="text-accent underline"
          >
            dead letter
          </Link>{" "}
          is open.
        </p>
      )}
    </div>
  );
}

export function letterOf(delivery: Delivery): string | undefined {
  return delivery.links.dead_letter?.split("/").pop();
}

/** What holds a delivery up is often its target and not itself. */
function Target({ id }: { id: string }) {
  const query = api.useQuery(
    "get",
    "/targets/{target_id}",
    { params: { path: { target_id: id } } },
    { refetchInterval: TARGET_EVERY_MS },
  );
  const target = query.data;
  if (target === undefined || target.health.last_attempt === null) return null;
  return (
    <p className="max-w-prose text-soft">
      <Link to="/targets/$id" params={{ id }} className="text-accent underline">
        {target.name}
      </Link>
      : <StandingSentence target={target} />
    </p>
  );
}

function Sentence({ delivery }: { delivery: Delivery }) {
  const { state, reason, last_error: error } = delivery;
  const why = error ? ` The last one: ${error}.` : "";
  if (state === "pending") return <Pending delivery={delivery} why={why} />;
  if (state === "sending")
    return (
      <>
        An attempt is under way since <Time at={delivery.sending_since} />.
      </>
    );
  if (state === "confirmed")
    return (
      <>
        The receiver took it <Time at={delivery.finished_at} />
        {reason ? ` (${reason})` : ""}.
      </>
    );
  if (state === "unknown")
    return (
      <>
        {UNKNOWN}
        {why}
      </>
    );
  if (state === "skipped") return <>It was not sent: {reason ?? "no reason was kept"}.</>;
  return (
    <>
      It was given up <Time at={delivery.finished_at} />
      {reason ? ` (${reason})` : ""}.{why}
    </>
  );
}

function Pending({ delivery, why }: { delivery: Delivery; why: string }) {
  const now = useNow();
  const at = delivery.next_attempt_at;
  const left = at === null ? 0 : Date.parse(at) - now;
  if (left <= 0) return <>It is due and sent as soon as its destination may get one more.{why}</>;
  return (
    <>
      The next attempt comes in{" "}
      <span className="tabular font-medium">{duration(Math.ceil(left / 1_000) * 1_000)}</span>.{why}
    </>
  );
}
