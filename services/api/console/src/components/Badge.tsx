import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CircleX,
  Clock,
  type LucideIcon,
  Pause,
  RefreshCw,
} from "lucide-react";
import type { ReactNode } from "react";

export type Tone = "ok" | "warn" | "bad" | "info" | "idle";

const TONES: Record<Tone, string> = {
  ok: "bg-ok-tint text-ok",
  warn: "bg-warn-tint text-warn",
  bad: "bg-bad-tint text-bad",
  info: "bg-info-tint text-info",
  idle: "bg-idle-tint text-idle",
};

const LOOKS: Record<string, [Tone, LucideIcon]> = {
  pending: ["idle", CircleDashed],
  queued: ["idle", CircleDashed],
  draft: ["idle", CircleDashed],
  waiting: ["warn", Clock],
  published: ["info", RefreshCw],
  processing: ["info", RefreshCw],
  sending: ["info", RefreshCw],
  running: ["info", RefreshCw],
  shadow: ["info", CircleDashed],
  processed: ["ok", CircleCheck],
  confirmed: ["ok", CircleCheck],
  applied: ["ok", CircleCheck],
  success: ["ok", CircleCheck],
  succeeded: ["ok", CircleCheck],
  done: ["ok", CircleCheck],
  completed: ["ok", CircleCheck],
  active: ["ok", CircleCheck],
  live: ["ok", CircleCheck],
  identical: ["ok", CircleCheck],
  up: ["ok", CircleCheck],
  redriven: ["ok", RefreshCw],
  failed: ["bad", CircleX],
  dead: ["bad", CircleX],
  silent: ["bad", CircleX],
  open: ["bad", CircleX],
  unknown: ["warn", CircleHelp],
  diverged: ["warn", CircleHelp],
  disabled: ["warn", Ban],
  suspended: ["warn", Ban],
  paused: ["warn", Pause],
  skipped: ["idle", Ban],
  deduped: ["idle", Ban],
  cancelled: ["idle", Ban],
  discarded: ["idle", Ban],
  retired: ["idle", Ban],
  archived: ["idle", Ban],
};

/** A state as word, picture and colour: never by colour alone. */
export function Status({ of, children }: { of: string; children?: ReactNode }) {
  const [tone, Icon] = LOOKS[of] ?? (["idle", CircleDashed] as const);
  return (
    <Badge tone={tone}>
      <Icon aria-hidden className="size-3.5" />
      {children ?? of.replaceAll("_", " ")}
    </Badge>
  );
}

export function Badge({ tone = "idle", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 whitespace-nowrap rounded-full px-2 py-0.5 font-medium text-xs ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}
