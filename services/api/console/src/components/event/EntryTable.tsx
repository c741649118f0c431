import { Fragment, useState } from "react";
import { Button } from "@/components/Button";
import { Time } from "@/components/Time";
import { count } from "@/lib/format";
import { duration } from "@/lib/time";
import { Detail } from "./Detail";
import type { Steps } from "./entries";
import { OutcomeMark } from "./looks";

const ROWS_AT_FIRST = 200;

/** The same history as a table: for readers, for phones, and for copying. */
export function EntryTable({
  history: { steps },
  selected,
  onSelect,
  opened,
}: {
  history: Steps;
  selected: string | null;
  onSelect: (key: string) => void;
  /** The row whose details stand below it, where there is no room beside the table. */
  opened: string | null;
}) {
  const [all, setAll] = useState(false);
  const shown = all ? steps : steps.slice(0, ROWS_AT_FIRST);
  return (
    <>
      <table aria-label="Timeline" className="w-full border-collapse text-sm">
        <thead>
          <tr className="border-line border-b text-left text-soft text-xs">
            <th scope="col" className="py-2 pr-2 pl-4 font-medium">
              What happened
            </th>
            <th scope="col" className="w-20 px-2 py-2 text-right font-medium">
              After
            </th>
            <th scope="col" className="hidden w-24 px-2 py-2 text-right font-medium sm:table-cell">
              Took
            </th>
            <th
              scope="col"
              className="hidden w-48 py-2 pr-4 pl-2 text-right font-medium md:table-cell"
            >
              At
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((step) => {
            const { entry, start } = step;
            return (
              <Fragment key={entry.key}>
                <tr
                  className={`border-line border-b align-top last:border-0 ${entry.key === selected ? "bg-accent-tint" : ""}`}
                >
                  <td className="py-1.5 pr-2 pl-4">
                    <div
                      className="flex items-start gap-1.5"
                      style={{ paddingLeft: Math.min(entry.depth, 3) * 12 }}
                    >
                      <span className="mt-1">
                        <OutcomeMark outcome={entry.outcome} />
                      </span>
                      <button
                        type="button"
                        aria-pressed={entry.key === selected}
                        onClick={() => onSelect(entry.key)}
                        className={`min-w-0 text-left [overflow-wrap:anywhere] hover:underline ${entry.depth === 0 ? "font-semibold" : ""}`}
                      >
                        {entry.title}
                      </button>
                    </div>
                  </td>
                  <td className="tabular whitespace-nowrap px-2 py-1.5 text-right">
                    {start <= 0 ? "0" : `+${duration(start)}`}
                  </td>
                  <td className="tabular hidden whitespace-nowrap px-2 py-1.5 text-right sm:table-cell">
                    {entry.duration_ms == null ? "" : duration(entry.duration_ms)}
                  </td>
                  <td className="hidden py-1.5 pr-4 pl-2 text-right text-soft md:table-cell">
                    <Time at={entry.at} show="exact" />
                  </td>
                </tr>
                {entry.key === opened && (
                  <tr className="border-line border-b bg-sunken">
                    <td colSpan={4} className="px-4 py-3">
                      <Detail step={step} />
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
      {shown.length < steps.length && (
        <div className="border-line border-t p-3 text-center">
          <Button small onClick={() => setAll(true)}>
            Show all {count(steps.length)} rows
          </Button>
        </div>
      )}
    </>
  );
}
