import { problemOf } from "@/lib/api";
import { key } from "@/lib/key";
import { type EventFilters, queryOf } from "./filters";

export type Format = "csv" | "ndjson";

/**
 * Save the events of a filter as a file. Without a key the browser streams it to the disk by itself;
 * with one the request needs a header that a link cannot carry.
 */
export async function download(filters: EventFilters, format: Format): Promise<void> {
  const address = `/events/export?${queryOf(filters, { format })}`;
  const value = key.read();
  if (value === null) {
    press(address, "");
    return;
  }
  const response = await fetch(address, { headers: { Authorization: `Bearer ${value}` } });
  if (!response.ok) throw await problemOf(response);
  const file = URL.createObjectURL(await response.blob());
  press(file, nameOf(response) ?? `events.${format}`);
  URL.revokeObjectURL(file);
}

function nameOf(response: Response): string | undefined {
  return /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
}

function press(href: string, name: string): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}
