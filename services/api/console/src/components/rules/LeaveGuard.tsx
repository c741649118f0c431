import { useBlocker } from "@tanstack/react-router";
import { useCallback, useRef } from "react";
import { Confirm } from "@/components/Dialog";

type Place = { pathname: string; search: Readonly<Record<string, unknown>> };

/** Asks before unsaved text is left, by whatever way: a link, a key, Back, a reload. */
export function LeaveGuard({
  dirty,
  stays,
}: {
  dirty: boolean;
  /** Whether the text is still there, or saved, at the other address. */
  stays: (from: Place, to: Place) => boolean;
}) {
  // Read when somebody leaves: a guard that is set up anew would forget whom it is asking.
  const latest = useRef({ dirty, stays });
  latest.current = { dirty, stays };
  const shouldBlockFn = useCallback(
    ({ current, next }: { current: Place; next: Place }) =>
      latest.current.dirty && !latest.current.stays(current, next),
    [],
  );
  const enableBeforeUnload = useCallback(() => latest.current.dirty, []);
  const blocker = useBlocker({ shouldBlockFn, enableBeforeUnload, withResolver: true });
  return (
    <Confirm
      open={blocker.status === "blocked"}
      onClose={() => blocker.reset?.()}
      title="Leave without saving?"
      verb="Leave without saving"
      keep="Stay"
      danger
      run={async () => blocker.proceed?.()}
    >
      <p>What you wrote in this rule is not saved anywhere. Leaving drops it.</p>
    </Confirm>
  );
}
