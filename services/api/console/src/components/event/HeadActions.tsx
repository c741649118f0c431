import { Link, useNavigate } from "@tanstack/react-router";
import { Ellipsis, FilePlus2, RotateCcw, Terminal } from "lucide-react";
import { toast } from "sonner";
import { Button, IconButton } from "@/components/Button";
import { Menu } from "@/components/Menu";
import type { Schemas } from "@/lib/api";
import { copyText } from "@/lib/clipboard";
import { key } from "@/lib/key";
import { curlOf } from "./curl";

/** What can be done with an event. On a phone all but the replay is in the menu. */
export function HeadActions({
  event,
  onReplay,
  mayReplay,
  mayWriteRules,
}: {
  event: Schemas["EventRow"];
  onReplay: () => void;
  mayReplay: boolean;
  mayWriteRules: boolean;
}) {
  const navigate = useNavigate();
  const makeRule = () => void navigate({ to: "/rules/new", search: { event_id: event.id } });
  const copyCurl = () => {
    const { text, sends } = curlOf(event, window.location.origin, key.read() !== null);
    void copy(
      text,
      sends
        ? "The command is copied. Sent as it is, it is a duplicate and does nothing."
        : "The command is copied. It reads the event: this one cannot be sent.",
    );
  };
  return (
    <>
      {mayWriteRules && (
        <Button asChild className="max-sm:hidden">
          <Link to="/rules/new" search={{ event_id: event.id }}>
            <FilePlus2 aria-hidden className="size-4" /> Make a rule from this event
          </Link>
        </Button>
      )}
      <Button className="max-sm:hidden" onClick={copyCurl}>
        <Terminal aria-hidden className="size-4" /> Copy as cURL
      </Button>
      {mayReplay && (
        <Button look="primary" onClick={onReplay} aria-keyshortcuts="r">
          <RotateCcw aria-hidden className="size-4" /> Replay
        </Button>
      )}
      <Menu
        trigger={
          <IconButton label="More">
            <Ellipsis aria-hidden className="size-4" />
          </IconButton>
        }
        items={[
          ...(mayWriteRules ? [{ title: "Make a rule from this event", run: makeRule }] : []),
          { title: "Copy as cURL", run: copyCurl },
          { title: "Copy the event's id", run: () => void copy(event.id, "The id is copied.") },
          {
            title: "Copy the event as JSON",
            run: () => void copy(JSON.stringify(event, null, 2), "The event is copied."),
          },
        ]}
      />
    </>
  );
}

/** A browser allows it on secure origins only. */
async function copy(text: string, done: string): Promise<void> {
  try {
    await copyText(text);
    toast.success(done);
  } catch {
    toast.error("The browser does not allow copying here.");
  }
}
