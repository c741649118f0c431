import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { call } from "./api";
import { useLiveRefetch } from "./live";

export const KNOBS = [
  "successOnAttempt",
  "breakBroker",
  "breakWorker",
  "breakConsumer",
  "duplicateEvents",
] as const;
export type Knob = (typeof KNOBS)[number];

export type FaultRule = {
  knob: Knob;
  mode: string;
  match: {
    aggregate_id: string | null;
    event_type: string | null;
    percent: number;
    first_n: number | null;
  };
  max_hits: number | null;
  hits: number;
  spent: boolean;
  created_at: string;
  expires_at: string;
  seconds_left: number;
};
export type FaultState = {
  version: number;
  knobs: Partial<Record<Knob, string>>;
  failpoints: Partial<Record<Knob, Record<string, string>>>;
  rules: FaultRule[];
  services: {
    service: string;
    instance: string;
    seen_version: number;
    seen_at: string;
    active: string[];
    alive: boolean;
  }[];
};
export type FaultBody = {
  [name in Knob]?: string | number;
} & {
  match?: { event_type?: string; percent?: number; first_n?: number };
  max_hits?: number;
  ttl_s: number;
  confirm?: true;
};

const KEY = ["faults"];
const EVERY_MS = 2_000;

export function useFaults(enabled: boolean) {
  const query = useQuery({
    queryKey: KEY,
    queryFn: () => call<FaultState>("GET", "/faults"),
    refetchInterval: EVERY_MS,
    enabled,
  });
  useLiveRefetch(enabled ? { kinds: ["fault"] } : null, () =>
    query.refetch({ cancelRefetch: false }),
  );
  return query;
}

/** Puts a whole new state in the place of the old one; null switches everything off. */
export function useChangeFaults() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: FaultBody | null) =>
      body === null
        ? call<FaultState>("DELETE", "/faults")
        : call<FaultState>("POST", "/faults", body),
    onSuccess: async (state) => {
      // An answer that was under way tells of the time before: it must not come after this one.
      await client.cancelQueries({ queryKey: KEY });
      client.setQueryData(KEY, state);
      void client.invalidateQueries({ queryKey: ["get", "/overview"] });
    },
  });
}
