export type Row = { id: string; state: string };
export type PageOf<T> = { rows: T[]; next: string | null };
export type Pages<T> = { pages: PageOf<T>[]; pageParams: (string | undefined)[] };

const PAGES_ASKED_MAX = 3;
const PAGES_ASKED_MAX_AFTER_GAP = 5;

/**
 * Which loaded pages are asked again: the first, for new rows, those of which something was missed,
 * and those that hold what changed. `left` are those for which another round is needed.
 */
export function pagesToAsk<T extends Row>(
  data: Pages<T>,
  changed: Set<string>,
  missed: Set<number> = new Set(),
): { places: number[]; left: number[] } {
  const holding = data.pages.flatMap((page, at) =>
    page.rows.some((row) => changed.has(row.id)) ? [at] : [],
  );
  const wanted = [...missed].filter((at) => at < data.pages.length);
  const most = wanted.length > 0 ? PAGES_ASKED_MAX_AFTER_GAP : PAGES_ASKED_MAX;
  const all = [...new Set([0, ...wanted, ...holding])];
  return { places: all.slice(0, most), left: all.slice(most) };
}

/**
 * Put fresh rows in the place of the ones that are shown. No row comes or goes, so that the list
 * never moves under the pointer; one that has left the filter says so by its new state.
 */
export function mergeRows<T extends Row>(
  data: Pages<T>,
  fresh: Map<string, T>,
  hints: Map<string, string>,
): Pages<T> {
  const newest = (row: T): T => {
    const asked = fresh.get(row.id);
    if (asked) return asked;
    const state = hints.get(row.id);
    return state === undefined || state === row.state ? row : { ...row, state };
  };
  return { ...data, pages: data.pages.map((page) => ({ ...page, rows: page.rows.map(newest) })) };
}

/** How many rows of a fresh first page are newer than what is shown. Ids sort by time. */
export function countNewer<T extends Row>(data: Pages<T>, first: PageOf<T>): number {
  const top = data.pages[0]?.rows[0];
  if (top === undefined) return first.rows.length;
  return first.rows.filter((row) => row.id > top.id).length;
}
