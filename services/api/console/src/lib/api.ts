import createClient, { type Middleware } from "openapi-fetch";
import createQueries from "openapi-react-query";
import type { components, paths } from "@/api";
import { parseAnswer, stringify } from "./json";
import { key } from "./key";

export type Schemas = components["schemas"];

/** One flaw of a request: where it is (a JSON pointer, a parameter or a header) and how to mend it. */
export type Fault = { pointer?: string; parameter?: string; header?: string; detail: string };

/** What went wrong, as the api says it (RFC 9457), or as the browser saw it when nothing answered. */
export class Problem extends Error {
  override name = "Problem";
  constructor(
    readonly status: number,
    readonly slug: string,
    readonly title: string,
    readonly detail: string,
    readonly faults: Fault[] = [],
  ) {
    super(detail || title);
  }

  /** Nobody answered: the api is down, or the network is. */
  get unreachable(): boolean {
    return this.status === 0;
  }

  /** Somebody changed it after it was read. */
  get stale(): boolean {
    return this.slug === "stale-version";
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const type = typeof body.type === "string" ? body.type : "";
  return new Problem(
    response.status,
    type.split("/").pop() ?? "",
    typeof body.title === "string" ? body.title : `The api answered with ${response.status}`,
    typeof body.detail === "string" ? body.detail : "",
    Array.isArray(body.errors) ? (body.errors as Fault[]) : [],
  );
}

/** Numbers in what others wrote stay as they wrote them. */
class Answer extends Response {
  override async json(): Promise<unknown> {
    return parseAnswer(await this.text());
  }
}

const attach: Middleware = {
  onRequest({ request }) {
    const value = key.read();
    if (value !== null) request.headers.set("Authorization", `Bearer ${value}`);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    if (response.status === 204) return response;
    const text = await response.text();
    const answer = new Answer(text, response);
    // Without a length openapi-fetch would parse the text itself, and lose digits.
    answer.headers.set("Content-Length", String(text.length));
    return answer;
  },
  onError({ error }) {
    if (error instanceof Problem) return error;
    return new Problem(0, "unreachable", "The api does not answer", "Nothing came back from it.");
  },
};

// Looked up at each call and not once, so that a test may put another fetch in its place.
export const client = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => globalThis.fetch(request),
});
client.use(attach);

/** Typed hooks over TanStack Query: `api.useQuery("get", "/events", {params: {query}})`. */
export const api = createQueries(client);

/** A call that is not in the OpenAPI document: fault injection, which is off by default. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  const value = key.read();
  if (value !== null) headers.Authorization = `Bearer ${value}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: stringify(body) }),
  }).catch(() => {
    throw new Problem(0, "unreachable", "The api does not answer", "Nothing came back from it.");
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}
