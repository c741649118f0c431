import type { Schemas } from "@/lib/api";
import type { Verdict } from "./words";

type Row = Pick<Schemas["JobEventRow"], "verdict">;

const ORDER: Verdict[] = ["diverged", "not_applied", "first", "identical"];

/** How many of the rows have each verdict, what wants a look first; verdicts that none has are left out. */
export function tally(rows: Row[]): [Verdict, number][] {
  return ORDER.flatMap((verdict): [Verdict, number][] => {
    const number = rows.filter((row) => row.verdict === verdict).length;
    return number > 0 ? [[verdict, number]] : [];
  });
}
