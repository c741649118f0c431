/** A name for one request: the same request sent twice does its work once. */
export function freshKey(): string {
  return `console-${randomHex(16)}`;
}

/** Not randomUUID: that is missing where the console is served over plain http. */
export function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The Idempotency-Key of each request by what it says. Sent again unchanged after a lost answer, it
 * has the same key and does nothing twice; changed, it is another request.
 */
export class RequestKeys {
  private readonly keys = new Map<string, string>();

  of(request: unknown): string {
    const text = JSON.stringify(request);
    const key = this.keys.get(text) ?? freshKey();
    this.keys.set(text, key);
    return key;
  }

  /** It was answered: the same words mean a new request from now on. */
  answered(request: unknown): void {
    this.keys.delete(JSON.stringify(request));
  }
}
