import { KeyRound } from "lucide-react";
import { useState } from "react";
import { signInAgain } from "@/lib/session";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { KeyForm } from "./KeyForm";

/** The key ended while somebody was at work: the page stays as it is, and asks for another one. */
export default function KeyEnded() {
  const [asks, setAsks] = useState(true);
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-line border-b bg-warn-tint px-4 py-2 text-sm text-warn sm:px-6">
      <div className="flex items-center gap-3">
        <KeyRound aria-hidden className="size-4 shrink-0" />
        <span role="status">
          Your key has expired or was revoked. What you see is old; what you typed is kept.
        </span>
      </div>
      <Button className="ml-auto" onClick={() => setAsks(true)}>
        Sign in again
      </Button>
      <Dialog
        open={asks}
        onClose={() => setAsks(false)}
        title="Sign in again"
        lead="Your key has expired or was revoked. This page stays as it is, with what you typed."
      >
        <KeyForm signIn={signInAgain} />
      </Dialog>
    </div>
  );
}
