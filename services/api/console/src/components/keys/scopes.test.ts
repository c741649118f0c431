import { expect, it } from "vitest";
import { readScopeWords, standing } from "./scopes";

it("scopes are described in the api's own words", () => {
  const words = readScopeWords(
    "Nothing is needed with AUTH_MODE=none. Scopes of a key:\n\n- `events:read`: see events\n- `replay:force`: send again what was sent (besides replay)",
  );
  expect(words).toEqual({
    "events:read": "see events",
    "replay:force": "send again what was sent (besides replay)",
  });
});

it("a revoked key is revoked, also when it has expired too", () => {
  const at = Date.parse("2026-11-22T12:00:00Z");
  const past = "2026-11-22T11:00:00Z";
  expect(standing({ revoked_at: past, expires_at: past }, at)).toBe("revoked");
  expect(standing({ revoked_at: null, expires_at: past }, at)).toBe("expired");
  expect(standing({ revoked_at: null, expires_at: null }, at)).toBe("active");
});
