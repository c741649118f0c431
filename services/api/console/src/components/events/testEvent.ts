import { client, Problem } from "@/lib/api";

/** An event that anybody may send to see one go through. Not randomUUID: plain http has none. */
export async function sendTestEvent(): Promise<{ id: string; externalId: string }> {
  const random = crypto.getRandomValues(new Uint8Array(6));
  const externalId = `test-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const { data } = await client.POST("/events", {
    body: {
      id: externalId,
      type: "payment.completed",
      source: "console",
      subject: null,
      time: null,
      data: { amount: 12_500, currency: "EUR", country: "BR" },
    },
  });
  if (data === undefined) throw new Problem(0, "unreachable", "The api did not answer", "");
  return { id: data.id, externalId };
}
