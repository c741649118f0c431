import { describe, expect, it } from "vitest";
import { type Document, find, operations, scopeOf, slugsOf } from "./openapi";
import { curl, quote, READ_BYTES_MAX, readSome, target } from "./request";
import { childrenOf, kindOf, resolve, sample } from "./schema";

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const DOCUMENT: Document = {
  info: { title: "t", version: "1" },
  paths: {
    "/events/{id}": {
      get: {
        operationId: "getEvent",
        tags: ["events"],
        summary: "One event",
        parameters: [
          { name: "id", in: "path", required: true },
          { name: "by", in: "query" },
        ],
        responses: { 200: { description: "Done" }, 409: { description: "key-exists, not-found" } },
        security: [{ apiKey: ["events:read"] }],
      },
    },
    "/health/live": { get: { operationId: "live", responses: {}, security: [] } },
    "/session": { get: { operationId: "session", responses: {}, security: [{ apiKey: [] }] } },
  },
  components: {
    schemas: {
      Tree: {
        type: "object",
        required: ["name", "parts"],
        properties: {
          name: { type: "string" },
          parts: { type: "array", items: ref("Tree") },
          at: { oneOf: [{ type: "string", format: "date-time" }, { type: "null" }] },
        },
      },
    },
  },
};
const all = operations(DOCUMENT);
const event = find(all, "one event")[0];

describe("operations", () => {
  it("are found by all words, in any order", () => {
    expect(find(all, "EVENT get").map((one) => one.operationId)).toEqual(["getEvent"]);
    expect(find(all, "event delete")).toEqual([]);
  });

  it("say which scope they need, or that any key or none will do", () => {
    expect(all.map(scopeOf)).toEqual(["events:read", undefined, null]);
  });

  it("name problems only where the api knows such", () => {
    expect(event && slugsOf(event, { "key-exists": {}, "not-found": {} })).toEqual([
      "key-exists",
      "not-found",
    ]);
  });
});

describe("a schema", () => {
  it("that holds itself is sampled and ends", () => {
    const text = JSON.stringify(sample(DOCUMENT, ref("Tree")));
    expect(text.startsWith('{"name":"text","parts":[{"name":"text"')).toBe(true);
    expect(text.length).toBeLessThan(500);
  });

  it("that is itself or null is said in one word", () => {
    const at = DOCUMENT.components.schemas.Tree?.properties?.at ?? {};
    expect([resolve(DOCUMENT, at).nullable, kindOf(DOCUMENT, at)]).toEqual([
      true,
      "string (date-time) or null",
    ]);
  });

  it("opens to what an array holds", () => {
    expect(kindOf(DOCUMENT, { type: "array", items: ref("Tree") })).toBe("array of Tree");
    expect(
      childrenOf(DOCUMENT, { type: "array", items: ref("Tree") }).map((one) => one.name),
    ).toEqual(["name", "parts", "at"]);
  });
});

describe("a request", () => {
  it("escapes what stands in the path and leaves out what is empty", () => {
    expect(event && target(event, { id: "a/b c", by: "" })).toBe("/events/a%2Fb%20c");
  });

  it("can hold quotes and still be one word for a shell", () => {
    expect(quote("it's $HOME")).toBe("'it'\\''s $HOME'");
  });

  it("never writes a key into a command", () => {
    const text = event && curl(event, { origin: "http://x.test", values: { id: "1" }, key: true });
    expect(text).toBe(
      "curl 'http://x.test/events/1' \\\n  -H \"Authorization: Bearer $ONCELY_KEY\"",
    );
  });

  it("reads a huge answer in part and says so", async () => {
    const { text, cut } = await readSome(new Response("x".repeat(READ_BYTES_MAX * 2)));
    expect([cut, text.length >= READ_BYTES_MAX]).toEqual([true, true]);
    expect(await readSome(new Response("short"))).toEqual({ text: "short", cut: false });
  });
});
