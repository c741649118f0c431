import {
  Activity,
  Boxes,
  Flame,
  KeyRound,
  ListTree,
  type LucideIcon,
  MailX,
  RotateCcw,
  ScrollText,
  Send,
  Settings2,
  Target,
  Workflow,
} from "lucide-react";

export type Place = {
  to:
    | "/"
    | "/events"
    | "/rules"
    | "/deliveries"
    | "/targets"
    | "/dead-letters"
    | "/replays"
    | "/faults"
    | "/event-types"
    | "/keys"
    | "/reference"
    | "/settings";
  title: string;
  icon: LucideIcon;
  /** Typed one after the other. */
  keys: string;
  group: "Watch" | "Decide" | "Repair" | "Set up";
};

export const PLACES: Place[] = [
  { to: "/", title: "Overview", icon: Activity, keys: "g o", group: "Watch" },
  { to: "/events", title: "Events", icon: ListTree, keys: "g e", group: "Watch" },
  { to: "/deliveries", title: "Deliveries", icon: Send, keys: "g d", group: "Watch" },
  { to: "/rules", title: "Rules", icon: Workflow, keys: "g r", group: "Decide" },
  { to: "/targets", title: "Targets", icon: Target, keys: "g t", group: "Decide" },
  { to: "/event-types", title: "Event types", icon: Boxes, keys: "g y", group: "Decide" },
  { to: "/dead-letters", title: "Dead letters", icon: MailX, keys: "g l", group: "Repair" },
  { to: "/replays", title: "Replays", icon: RotateCcw, keys: "g p", group: "Repair" },
  { to: "/faults", title: "Faults", icon: Flame, keys: "g f", group: "Repair" },
  { to: "/reference", title: "API reference", icon: ScrollText, keys: "g a", group: "Set up" },
  { to: "/keys", title: "API keys", icon: KeyRound, keys: "g k", group: "Set up" },
  { to: "/settings", title: "Settings", icon: Settings2, keys: "g s", group: "Set up" },
];
