import type { Schemas } from "@/lib/api";

export type Scope = Schemas["KeyBody"]["scopes"][number];

/** The api's own words for its scopes, in its OpenAPI document: lines like "- `replay`: …". */
export function readScopeWords(description: string): Partial<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [, scope, words] of description.matchAll(/^- `([^`]+)`: (.+)$/gm)) {
    if (scope !== undefined && words !== undefined) found[scope] = words;
  }
  return found;
}

/** Every scope that there is: a name that the api does not know would be a type error here. */
export const SCOPES: Scope[] = [
  "events:read",
  "events:write",
  "event-types:write",
  "orders:read",
  "orders:write",
  "rules:read",
  "rules:write",
  "deliveries:read",
  "deliveries:write",
  "targets:write",
  "dead-letters:write",
  "replay",
  "replay:force",
  "metrics:read",
  "faults",
  "admin",
];

export type Standing = "active" | "expired" | "revoked";

export function standing(
  key: Pick<Schemas["Key"], "revoked_at" | "expires_at">,
  at: number,
): Standing {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null && Date.parse(key.expires_at) <= at ? "expired" : "active";
}
