import { Problem } from "@/lib/api";
import type { Search } from "@/lib/search";

/**
 * Refuse an address whose choice is none of those that exist: a filter that is left out in silence
 * would show, and act on, more than was asked for.
 */
export function requireKnown(search: Search, choices: Record<string, readonly string[]>): void {
  const faults = Object.entries(choices).flatMap(([parameter, known]) => {
    const value = search[parameter];
    if (value === undefined || known.includes(value)) return [];
    return [{ parameter, detail: `is ${value}, and must be one of ${known.join(", ")}` }];
  });
  if (faults.length > 0)
    throw new Problem(
      422,
      "invalid-request",
      "The address says something that is not known",
      "see below, or clear the filters",
      faults,
    );
}
