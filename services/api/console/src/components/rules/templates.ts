import { type Draft, pretty } from "./draft";

export type Template = {
  id: string;
  title: string;
  about: string;
  make: (target?: string) => Draft;
};

const make = (name: string, event_type: string, condition: unknown, action: unknown): Draft => ({
  name,
  event_type,
  engine: "datalogic",
  note: "",
  condition: pretty(condition),
  actions: pretty([action]),
});

/** Where most rules begin. */
export const TEMPLATES: Template[] = [
  {
    id: "webhook",
    title: "Webhook on a large payment",
    about: "Calls an address when the amount is above 10,000.",
    make: (target) =>
      make(
        "Webhook on a large payment",
        "payment.completed",
        { ">": [{ var: "amount" }, 10000] },
        {
          type: "call_webhook",
          params: {
            ...(target ? { target } : { url: "https://example.com/hook" }),
            body: { id: "{{ external_id }}", amount: "{{ data.amount }}" },
          },
        },
      ),
  },
  {
    id: "email",
    title: "Mail about a country",
    about: "Sends a mail when payments come from certain countries.",
    make: () =>
      make(
        "Mail about a country",
        "payment.completed",
        { in: [{ var: "country" }, ["BR", "NG"]] },
        {
          type: "send_email",
          params: {
            to: "fraud@example.com",
            subject: "Payment {{ external_id }} from {{ data.country }}",
            body: "Amount: {{ data.amount }}",
          },
        },
      ),
  },
  {
    id: "log",
    title: "Log every event of a type",
    about: "Writes a line to the log, whatever the event says.",
    make: () =>
      make("Log every payment", "payment.*", true, {
        type: "log",
        params: { message: "{{ type }} {{ external_id }}" },
      }),
  },
];
