/** The query string as plain names and values: the same that the api takes, so links can be shared. */
export type Search = Record<string, string | undefined>;

export function parseSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/** Keep the names that a route knows, and only those that say something. */
export function pick<const Names extends readonly string[]>(
  names: Names,
): (search: Record<string, unknown>) => { [Name in Names[number]]?: string } {
  return (search) => {
    const found: Record<string, string> = {};
    for (const name of names) {
      const value = search[name];
      if (value !== undefined && value !== null && value !== "") found[name] = String(value);
    }
    return found as { [Name in Names[number]]?: string };
  };
}
