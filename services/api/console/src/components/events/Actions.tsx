import { Link } from "@tanstack/react-router";
import { Copy, Download, Ellipsis, FlaskConical, RotateCcw } from "lucide-react";
import { toast } from "sonner";
import { Button, IconButton } from "@/components/Button";
import { Menu } from "@/components/Menu";
import { copyText } from "@/lib/clipboard";
import { useMay } from "@/lib/session";
import { useTestEvent } from "@/lib/testEvent";
import { download, type Format } from "./download";
import { curlOf, type EventFilters, notReplayable } from "./filters";

/** What can be done with all that match. Errors are told to the page, which shows them in place. */
export function Actions({
  filters,
  onFailure,
}: {
  filters: EventFilters;
  onFailure: (error: unknown) => void;
}) {
  const maySend = useMay("events:write");
  const mayReplay = useMay("replay");
  const send = useTestEvent(onFailure);
  const why = notReplayable(filters);
  const save = (format: Format) => () =>
    download(filters, format).then(() => onFailure(null), onFailure);
  const copy = () =>
    copyText(curlOf(filters, window.location.origin)).then(
      () => toast.success("Copied: this query as cURL"),
      onFailure,
    );
  return (
    <>
      {mayReplay && why === null && (
        <Button asChild>
          <Link to="/replays/new" search={filters}>
            <RotateCcw aria-hidden className="size-4" />
            <span>
              Replay all<span className="sr-only sm:not-sr-only"> that match</span>…
            </span>
          </Link>
        </Button>
      )}
      <Menu
        trigger={
          <Button>
            <Download aria-hidden className="size-4" /> Export
          </Button>
        }
        items={[
          { title: "All that match, as CSV", run: save("csv") },
          { title: "All that match, as NDJSON", run: save("ndjson") },
        ]}
      />
      <Menu
        trigger={
          <IconButton label="More">
            <Ellipsis aria-hidden className="size-4" />
          </IconButton>
        }
        items={[
          {
            title: (
              <>
                <Copy aria-hidden className="size-4" /> Copy this query as cURL
              </>
            ),
            run: () => void copy(),
          },
          ...(maySend
            ? [
                {
                  title: (
                    <>
                      <FlaskConical aria-hidden className="size-4" /> Send a test event
                    </>
                  ),
                  run: () => send.mutate(),
                },
              ]
            : []),
          ...(mayReplay && why !== null
            ? [{ title: `Replay all that match: ${why}`, run: () => undefined, disabled: true }]
            : []),
        ]}
      />
    </>
  );
}
