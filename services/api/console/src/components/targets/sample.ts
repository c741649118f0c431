import type { Target } from "./form";

/** For tests: a target of which nothing special is to be said. */
export const sample: Target = {
  id: "t",
  name: "crm",
  url: "https://example.com/hooks",
  header_names: [],
  secrets: [],
  timeout_ms: 15_000,
  rate_per_second: null,
  in_flight_max: 10,
  revision: 1,
  disabled_at: null,
  disabled_reason: null,
  archived_at: null,
  created_at: "",
  updated_at: "",
  health: {
    breaker: "closed",
    open_until: null,
    paused_until: null,
    failures: 0,
    in_flight: 0,
    pending: 0,
    pending_capped: false,
    last_attempt: null,
  },
};
