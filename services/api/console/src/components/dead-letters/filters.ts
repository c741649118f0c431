import type { Filter } from "../deliveries/FilterBar";
import { LETTER_STATES, STAGES, STUCK } from "./words";

/** What dead letters are narrowed by, in the list and before a bulk act. */
export function filtersOf(targets: [string, string][]): Filter[] {
  return [
    {
      name: "stage",
      label: "Stage",
      kind: "choice",
      choices: STAGES.map((stage) => [stage, `${stage}: ${STUCK[stage]}`]),
    },
    { name: "error_class", label: "Cause", kind: "text", placeholder: "ConnectRefused" },
    { name: "event_type", label: "Event type", kind: "text", placeholder: "order.paid" },
    {
      name: "destination",
      label: "Destination",
      kind: "choice",
      choices: [
        ...targets.map(([id, name]): [string, string] => [`target/${id}`, name]),
        ["email", "e-mail"],
      ],
    },
    {
      name: "untyped",
      label: "Has an event type",
      kind: "choice",
      choices: [
        ["false", "yes"],
        ["true", "no"],
      ],
      rare: true,
    },
    { name: "topic", label: "Topic", kind: "text", rare: true },
    { name: "event_id", label: "Event id", kind: "text", rare: true },
    { name: "delivery_id", label: "Delivery id", kind: "text", rare: true },
    { name: "created_after", label: "Since, from", kind: "moment", rare: true },
    { name: "created_before", label: "Since, before", kind: "moment", rare: true },
  ];
}

/** The list shows open ones unless its address says another state. */
export const STATE: Filter = {
  name: "state",
  label: "State",
  kind: "choice",
  none: "open",
  choices: [
    ...LETTER_STATES.filter((state) => state !== "open").map((state): [string, string] => [
      state,
      state.replaceAll("_", " "),
    ]),
    ["all", "any"],
  ],
};
