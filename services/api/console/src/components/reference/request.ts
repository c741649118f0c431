import type { Operation } from "./openapi";

export type Values = Record<string, string>;

/** The path with its parameters in place and the query behind it. Empty ones are left out. */
export function target(operation: Pick<Operation, "path" | "parameters">, values: Values): string {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const { name, in: place } of operation.parameters ?? []) {
    const value = values[name] ?? "";
    if (place === "path" && value !== "")
      path = path.replace(`{${name}}`, encodeURIComponent(value));
    if (place === "query" && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** In single quotes a POSIX shell reads nothing but the quote itself. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The same request for a shell. The key stands in a variable, so that it is in no history. */
export function curl(
  operation: Pick<Operation, "path" | "parameters" | "method">,
  given: {
    origin: string;
    values: Values;
    body?: string | undefined;
    media?: string;
    key: boolean;
  },
): string {
  const parts = [`curl ${quote(given.origin + target(operation, given.values))}`];
  if (operation.method !== "get") parts.push(`-X ${operation.method.toUpperCase()}`);
  if (given.key) parts.push('-H "Authorization: Bearer $ONCELY_KEY"');
  for (const { name, in: place } of operation.parameters ?? []) {
    const value = given.values[name] ?? "";
    if (place === "header" && value !== "") parts.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (given.body !== undefined) {
    parts.push(`-H ${quote(`Content-Type: ${given.media ?? "application/json"}`)}`);
    parts.push(`-d ${quote(given.body)}`);
  }
  return parts.join(" \\\n  ");
}

/** At most this much of an answer is read: an export may be a gigabyte. */
export const READ_BYTES_MAX = 256 * 1024;

export async function readSome(response: Response): Promise<{ text: string; cut: boolean }> {
  const reader = response.body?.getReader();
  if (reader === undefined) return { text: await response.text(), cut: false };
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), cut: false };
    size += value.byteLength;
    text += decoder.decode(value, { stream: true });
    if (size >= READ_BYTES_MAX) {
      await reader.cancel();
      return { text, cut: true };
    }
  }
}
