import { Problem, type Schemas } from "@/lib/api";

export type Target = Schemas["TargetRow"];
/** What stands in the fields; texts, because somebody is typing. */
export type Draft = {
  name: string;
  url: string;
  /** One header a line, or null: they stay as they are. */
  headers: string | null;
  timeout: string;
  rate: string;
  inFlight: string;
  secret: string;
};

export const NEW: Draft = {
  name: "",
  url: "",
  headers: "",
  timeout: "15000",
  rate: "",
  inFlight: "10",
  secret: "",
};

export function draftOf(target: Target): Draft {
  return {
    name: target.name,
    url: target.url,
    headers: null,
    timeout: String(target.timeout_ms),
    rate: target.rate_per_second === null ? "" : String(target.rate_per_second),
    inFlight: String(target.in_flight_max),
    secret: "",
  };
}

/** "Name: value" lines as an object. Raises a Problem that names the line that is none. */
export function readHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  text.split("\n").forEach((line, at) => {
    if (line.trim() === "") return;
    const colon = line.indexOf(":");
    if (colon < 1) throw flaw(`line ${at + 1} must be "Name: value"`);
    const name = line.slice(0, colon).trim();
    if (Object.hasOwn(headers, name)) throw flaw(`line ${at + 1}: ${name} is there twice`);
    headers[name] = line.slice(colon + 1).trim();
  });
  return headers;
}

function flaw(detail: string): Problem {
  return new Problem(422, "invalid-request", "The form is not right", "nothing was sent", [
    { pointer: "/headers", detail },
  ]);
}

/** What is no number goes to the api as it is: its answer says what it should be. */
function numeric(text: string): number {
  const number = Number(text);
  return text.trim() === "" || Number.isNaN(number) ? 0 : number;
}

export function bodyOf(draft: Draft): Schemas["TargetBody"] {
  return {
    name: draft.name.trim(),
    url: draft.url.trim(),
    headers: readHeaders(draft.headers ?? ""),
    secret: draft.secret.trim() || null,
    timeout_ms: numeric(draft.timeout),
    rate_per_second: draft.rate.trim() === "" ? null : numeric(draft.rate),
    in_flight_max: numeric(draft.inFlight),
  };
}

/** Only what differs: a member that is sent is written. */
export function patchOf(draft: Draft, target: Target): Partial<Schemas["TargetPatchBody"]> {
  const { secret: _, ...wanted } = bodyOf({ ...draft, headers: draft.headers ?? "" });
  const patch: Partial<Schemas["TargetPatchBody"]> = {};
  if (wanted.name !== target.name) patch.name = wanted.name;
  if (wanted.url !== target.url) patch.url = wanted.url;
  if (wanted.timeout_ms !== target.timeout_ms) patch.timeout_ms = wanted.timeout_ms;
  if (wanted.rate_per_second !== target.rate_per_second)
    patch.rate_per_second = wanted.rate_per_second;
  if (wanted.in_flight_max !== target.in_flight_max) patch.in_flight_max = wanted.in_flight_max;
  if (draft.headers !== null) patch.headers = wanted.headers;
  return patch;
}

/** What somebody else changed since the form was opened, each in words. */
export function changesOf(base: Target, now: Target): string[] {
  const told: [string, (target: Target) => string][] = [
    ["Name", ({ name }) => name],
    ["URL", ({ url }) => url],
    ["Names of headers", ({ header_names: names }) => names.join(", ") || "none"],
    ["Timeout, ms", ({ timeout_ms: timeout }) => String(timeout)],
    ["Most per second", ({ rate_per_second: rate }) => String(rate ?? "no limit")],
    ["Most in flight", ({ in_flight_max: most }) => String(most)],
    ["Disabled", ({ disabled_at: at }) => (at === null ? "no" : "yes")],
    ["Archived", ({ archived_at: at }) => (at === null ? "no" : "yes")],
  ];
  const changes = told.flatMap(([name, of]) =>
    of(base) === of(now) ? [] : [`${name}: was ${of(base)}, is ${of(now)}`],
  );
  if (changes.length === 0 && base.revision !== now.revision)
    return ["Something whose value is not shown: a header's, or the secret"];
  return changes;
}

/** What the api found wrong with one member, in one text; members of it count as it. */
export function errorAt(error: unknown, member: string): string | undefined {
  if (!(error instanceof Problem)) return undefined;
  const own = error.faults.filter(
    ({ pointer }) => pointer === `/${member}` || pointer?.startsWith(`/${member}/`),
  );
  if (own.length === 0) return undefined;
  return own
    .map(({ pointer, detail }) => {
      const inner = pointer?.slice(member.length + 2);
      return inner ? `${inner}: ${detail}` : detail;
    })
    .join("; ");
}
