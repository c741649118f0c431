import { expect, it } from "vitest";
import { client } from "./api";
import { Exact, parse, parseAnswer, stringify } from "./json";

const ODD = "[9007199254740993,1.0,1e400,-0,1E5,-12.50]";

it("numbers that a browser would write otherwise are written as they were read", () => {
  expect(stringify(parse(ODD))).toBe(ODD);
  expect(parse("[1, 1.5, -7, 9007199254740992, null]")).toEqual([
    1,
    1.5,
    -7,
    9007199254740992,
    null,
  ]);
  expect(`${parse("1.0")}`).toBe("1.0");
});

it("an answer's own numbers stay numbers, and what others wrote stays exact", () => {
  const text = `{"rate":1.0,"rows":[{"took":2.0,"data":{"id":9007199254740993,"a":[1.0]}}],"data":-0}`;
  expect(parseAnswer(text)).toEqual({
    rate: 1,
    rows: [{ took: 2, data: { id: new Exact("9007199254740993"), a: [new Exact("1.0")] } }],
    data: new Exact("-0"),
  });
});

it("the client gives what was stored and sends it back unchanged", async () => {
  const sent: string[] = [];
  const before = globalThis.fetch;
  globalThis.fetch = async (input) => {
    sent.push(await (input as Request).text());
    return new Response(`{"event":1,"data":${ODD}}`, { status: 200 });
  };
  try {
    const params = { path: { event_id: "1" } };
    const { data } = await client.GET("/events/{event_id}", { params });
    const body = { id: "1", type: "a", source: "b", data: data?.data };
    await client.POST("/events", { body });
  } finally {
    globalThis.fetch = before;
  }
  expect(sent[1]).toContain(`"data":${ODD}`);
});
