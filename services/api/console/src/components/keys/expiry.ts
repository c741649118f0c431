const DAY_MS = 86_400_000;

export const LIVES: [string, string][] = [
  ["30", "in 30 days"],
  ["90", "in 90 days"],
  ["365", "in a year"],
  ["", "never, until it is revoked"],
];

/** The moment that a choice of LIVES means. */
export function expiryOf(days: string, now: number): string | null {
  return days === "" ? null : new Date(now + Number(days) * DAY_MS).toISOString();
}
