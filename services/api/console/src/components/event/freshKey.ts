/** A key for one request: the same request sent twice does its work once. */
export function freshKey(): string {
  // Not randomUUID: the browser has that on secure origins only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
