import { Status } from "@/components/Badge";
import { Time } from "@/components/Time";
import { useNow } from "@/lib/time";
import type { Target } from "./form";

type Standing = { of: string; word: string };

/** How a target is doing, in one word; the strongest reason wins. */
export function standingOf(target: Target, now: number): Standing {
  const { health } = target;
  if (target.archived_at) return { of: "archived", word: "archived" };
  if (target.disabled_at) return { of: "disabled", word: "disabled" };
  if (health.breaker === "open") return { of: "open", word: "breaker open" };
  if (health.breaker === "half_open") return { of: "waiting", word: "trying one" };
  if (health.paused_until !== null && Date.parse(health.paused_until) > now)
    return { of: "paused", word: "paused" };
  const last = health.last_attempt;
  if (last === null) return { of: "pending", word: "not used yet" };
  if (last.outcome === "confirmed") return { of: "active", word: "answers" };
  return last.outcome === "unknown"
    ? { of: "unknown", word: "no answer" }
    : { of: "failed", word: "failing" };
}

export function Standing({ target }: { target: Target }) {
  const { of, word } = standingOf(target, useNow());
  return <Status of={of}>{word}</Status>;
}

/** The same as a sentence: what is going on, since when, and what happens next. */
export function StandingSentence({ target }: { target: Target }) {
  const now = useNow();
  const { health } = target;
  const { of, word } = standingOf(target, now);
  if (of === "archived")
    return (
      <>
        Archived <Time at={target.archived_at} />: it gets nothing more, and its name is free.
      </>
    );
  if (of === "disabled")
    return (
      <>
        Disabled <Time at={target.disabled_at} />: {target.disabled_reason ?? "no reason was kept"}.
        What is due becomes skipped.
      </>
    );
  if (word === "breaker open")
    return (
      <>
        It failed {health.failures} times in a row, so nothing is sent for now. One delivery is
        tried <Time at={health.open_until} />; when it gets through, the others follow.
      </>
    );
  if (word === "trying one")
    return (
      <>It failed {health.failures} times in a row. One delivery is tried before the others.</>
    );
  if (of === "paused")
    return (
      <>
        It asked for a pause (Retry-After) and gets the next one <Time at={health.paused_until} />.
      </>
    );
  if (health.last_attempt === null) return <>Nothing was sent to it yet.</>;
  if (of === "active")
    return (
      <>
        It answers. The last yes came <Time at={health.last_attempt.finished_at} />.
      </>
    );
  return (
    <>
      The last attempt ended as {health.last_attempt.outcome}{" "}
      <Time at={health.last_attempt.finished_at} />: {lastOf(target)}.
    </>
  );
}

/** What the newest attempt taught, short. */
export function lastOf({ health: { last_attempt: last } }: Target): string {
  if (last === null) return "none yet";
  if (last.status_code !== null) return `answered ${last.status_code}`;
  return last.error_class ?? last.outcome;
}
