/** What comes at once is asked for once. */
const GATHER_MS = 200;

/** Runs rounds of requests, one at a time; each wish says how long after the last round. */
export class Rounds {
  private timer: number | undefined;
  private dueAt = Number.POSITIVE_INFINITY;
  private endedAt = Number.NEGATIVE_INFINITY;
  private isRunning = false;
  private wishedMs: number | null = null;

  constructor(private readonly run: () => Promise<unknown>) {}

  ask(pauseMs: number): void {
    if (this.isRunning) {
      this.wishedMs = Math.min(pauseMs, this.wishedMs ?? pauseMs);
      return;
    }
    const now = Date.now();
    const dueAt = Math.max(now + GATHER_MS, this.endedAt + pauseMs);
    // A later wish never puts an earlier one off.
    if (dueAt >= this.dueAt) return;
    window.clearTimeout(this.timer);
    this.dueAt = dueAt;
    this.timer = window.setTimeout(() => void this.go(), dueAt - now);
  }

  stop(): void {
    window.clearTimeout(this.timer);
    this.dueAt = Number.POSITIVE_INFINITY;
    this.wishedMs = null;
  }

  private async go(): Promise<void> {
    this.dueAt = Number.POSITIVE_INFINITY;
    this.isRunning = true;
    await this.run().catch(() => undefined);
    this.isRunning = false;
    this.endedAt = Date.now();
    const wished = this.wishedMs;
    this.wishedMs = null;
    if (wished !== null) this.ask(wished);
  }
}
