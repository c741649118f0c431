import { ChartGantt, Table } from "lucide-react";
import { useMemo, useState, useSyncExternalStore } from "react";
import { IconButton } from "@/components/Button";
import { Card, Updated } from "@/components/Page";
import { count } from "@/lib/format";
import { Detail } from "./Detail";
import { EntryTable } from "./EntryTable";
import { type Step, stepsOf, type Timeline } from "./entries";
import { Waterfall } from "./Waterfall";

const ROOM_FOR_BARS = "(min-width: 640px)";
const ROOM_BESIDE = "(min-width: 80rem)";

/** The history of the event: bars or a table, with the details of one step beside or below. */
export function TimelineTab({
  timeline,
  updatedAt,
  run,
}: {
  timeline: Timeline;
  updatedAt: number;
  run: string | undefined;
}) {
  const history = useMemo(() => stepsOf(timeline), [timeline]);
  const [view, setView] = useState<"bars" | "table">(() =>
    window.matchMedia?.(ROOM_FOR_BARS).matches === false ? "table" : "bars",
  );
  const [chosen, setChosen] = useState<{ key: string; run: string | undefined } | null>(null);
  const [hovered, setHovered] = useState<string | null>(null);
  // A run that stands in the address is selected until something else is.
  const selected =
    chosen !== null && chosen.run === run ? chosen.key : run ? `run/${run}` : worth(history.steps);
  const select = (key: string) => {
    setChosen({ key, run });
    setHovered(null);
  };
  const beside = useMedia(ROOM_BESIDE);
  const within = view === "table" && !beside;
  const shown =
    history.steps.find(({ entry }) => entry.key === (hovered ?? selected)) ?? history.steps[0];
  return (
    <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,1fr)_21rem]">
      <Card
        title="Timeline"
        flush
        aside={
          <>
            <Updated at={updatedAt} />
            <span>{count(history.steps.length)} steps</span>
            <IconButton
              small
              label="Show as bars"
              aria-pressed={view === "bars"}
              className={PRESSED}
              onClick={() => setView("bars")}
            >
              <ChartGantt aria-hidden className="size-4" />
            </IconButton>
            <IconButton
              small
              label="Show as a table"
              aria-pressed={view === "table"}
              className={PRESSED}
              onClick={() => setView("table")}
            >
              <Table aria-hidden className="size-4" />
            </IconButton>
          </>
        }
      >
        {timeline.cut_off && (
          <p className="bg-warn-tint px-4 py-2 text-sm text-warn">
            Only the first {count(history.steps.length)} entries are shown: there are more.
          </p>
        )}
        {view === "bars" ? (
          <Waterfall history={history} selected={selected} onSelect={select} onHover={setHovered} />
        ) : (
          <EntryTable
            history={history}
            selected={selected}
            onSelect={select}
            opened={within && chosen !== null ? selected : null}
          />
        )}
      </Card>
      {shown && !within && (
        <Card
          title="Step"
          className="xl:sticky xl:top-17 xl:max-h-[calc(100dvh-6rem)] xl:overflow-y-auto"
        >
          <Detail step={shown} />
        </Card>
      )}
    </div>
  );
}

const PRESSED = "aria-pressed:bg-accent-tint aria-pressed:text-accent min-w-9 px-0!";

/** What somebody wants to see first: what went wrong and was not mended, or when it took effect. */
function worth(steps: Step[]): string | null {
  const letter = steps.find(
    ({ entry }) => entry.kind === "dead_letter" && entry.detail?.state === "open",
  );
  const failed = steps.findLast(
    ({ entry }) =>
      entry.kind === "delivery" && (entry.outcome === "failed" || entry.outcome === "unknown"),
  );
  const applied = steps.findLast(({ entry }) => entry.kind === "applied");
  const attempt = steps.findLast(({ entry }) => entry.kind === "attempt");
  return (letter ?? failed ?? applied ?? attempt ?? steps[0])?.entry.key ?? null;
}

function useMedia(query: string): boolean {
  const media = useMemo(() => window.matchMedia?.(query), [query]);
  return useSyncExternalStore(
    (listener) => {
      media?.addEventListener("change", listener);
      return () => media?.removeEventListener("change", listener);
    },
    () => media?.matches ?? true,
  );
}
