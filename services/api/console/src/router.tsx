import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { Crashed } from "./components/Crashed";
import { NotFound } from "./components/NotFound";
import { Shell } from "./components/Shell";
import { parseSearch, pick, stringifySearch } from "./lib/search";

/** Every screen of the console and what its address may say. One file per route, loaded on demand. */
const root = createRootRoute({ component: Shell });

export const EVENT_FILTERS = [
  "status",
  "type",
  "source",
  "subject",
  "external_id",
  "q",
  "received_after",
  "received_before",
  "rule_id",
] as const;
export const DELIVERY_FILTERS = [
  "state",
  "kind",
  "event_id",
  "rule_id",
  "target_id",
  "destination",
  "created_after",
  "created_before",
] as const;
export const DEAD_LETTER_FILTERS = [
  "stage",
  "state",
  "event_type",
  "untyped",
  "topic",
  "error_class",
  "event_id",
  "delivery_id",
  "destination",
  "created_after",
  "created_before",
] as const;

const routes = [
  createRoute({
    getParentRoute: () => root,
    path: "/",
    component: lazyRouteComponent(() => import("./routes/overview"), "Overview"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/events",
    validateSearch: pick(EVENT_FILTERS),
    component: lazyRouteComponent(() => import("./routes/events"), "Events"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/events/$id",
    validateSearch: pick(["tab", "replay"]),
    component: lazyRouteComponent(() => import("./routes/event"), "EventPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/rules",
    validateSearch: pick(["q", "event_type", "state", "active", "archived"]),
    component: lazyRouteComponent(() => import("./routes/rules"), "Rules"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/rules/new",
    validateSearch: pick(["event_id", "event_type"]),
    component: lazyRouteComponent(() => import("./routes/rule-new"), "NewRule"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/rules/$id",
    validateSearch: pick(["tab", "version", "to", "event_id", "backtest"]),
    component: lazyRouteComponent(() => import("./routes/rule"), "RulePage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/deliveries",
    validateSearch: pick(DELIVERY_FILTERS),
    component: lazyRouteComponent(() => import("./routes/deliveries"), "Deliveries"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/deliveries/$id",
    component: lazyRouteComponent(() => import("./routes/delivery"), "DeliveryPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/targets",
    validateSearch: pick(["name", "disabled", "archived"]),
    component: lazyRouteComponent(() => import("./routes/targets"), "Targets"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/targets/$id",
    validateSearch: pick(["state"]),
    component: lazyRouteComponent(() => import("./routes/target"), "TargetPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/dead-letters",
    validateSearch: pick([...DEAD_LETTER_FILTERS, "letter"]),
    component: lazyRouteComponent(() => import("./routes/dead-letters"), "DeadLetters"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/replays",
    validateSearch: pick(["state"]),
    component: lazyRouteComponent(() => import("./routes/replays"), "Replays"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/replays/new",
    validateSearch: pick(EVENT_FILTERS),
    component: lazyRouteComponent(() => import("./routes/replay-new"), "NewReplay"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/replays/$id",
    component: lazyRouteComponent(() => import("./routes/replay"), "ReplayPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/faults",
    component: lazyRouteComponent(() => import("./routes/faults"), "Faults"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/event-types",
    validateSearch: pick(["type", "seen"]),
    component: lazyRouteComponent(() => import("./routes/event-types"), "EventTypes"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/keys",
    component: lazyRouteComponent(() => import("./routes/keys"), "Keys"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/reference",
    validateSearch: pick(["q", "op"]),
    component: lazyRouteComponent(() => import("./routes/reference"), "Reference"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/settings",
    component: lazyRouteComponent(() => import("./routes/settings"), "Settings"),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([...routes]),
  basepath: "/console",
  parseSearch,
  stringifySearch,
  // A link that is looked at with intent is loaded before it is pressed.
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultNotFoundComponent: NotFound,
  defaultErrorComponent: Crashed,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
