import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { Tooltip } from "radix-ui";
import { expect, it, vi } from "vitest";
import type { Schemas } from "@/lib/api";
import { ReplayDialog } from "./ReplayDialog";

vi.mock("@tanstack/react-router", () => ({ Link: "a" }));

const EVENT = { id: "e1", type: "t", subject: null, status: "processed", replay: 0 };
const event = { ...EVENT, payload_expired_at: null } as Schemas["EventRow"];
const preview = { rules: [], existing_deliveries: [] };
const scopes = ["replay", "rules:read"];

const none = () => undefined;
const button = () => screen.getByRole<HTMLButtonElement>("button", { name: "Replay" });

function show(answers: Record<string, () => Response | Promise<Response>>, receipt: number | null) {
  vi.stubGlobal("fetch", (request: Request) =>
    answers[new URL(request.url).pathname.split("/").pop() ?? ""]?.(),
  );
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(["get", "/session", {}], { scopes });
  const props = { event, timeline: undefined, receipt, onClose: none, onDone: none };
  render(
    <QueryClientProvider client={client}>
      <Tooltip.Provider>
        <ReplayDialog {...props} />
      </Tooltip.Provider>
    </QueryClientProvider>,
  );
}

it("does not replay a payload whose effects nobody can tell", async () => {
  const answers = {
    preview: () => Response.json(preview),
    receipts: () => Response.json({ title: "Away" }, { status: 503 }),
  };
  show(answers, 7);
  expect((await screen.findByRole("alert")).textContent).toContain("Away");
  expect(button().disabled).toBe(true);

  await userEvent.selectOptions(screen.getByRole("combobox", { name: "Payload" }), "");
  await vi.waitFor(() => expect(button().disabled).toBe(false));
});

it("does not offer a replay beside the forecast of another choice", async () => {
  let answer: (response: Response) => void = none;
  let asked = 0;
  const answers = {
    receipts: () => Response.json({ receipts: [] }),
    attempts: () => Response.json({ attempts: [] }),
    preview: () => {
      asked += 1;
      return new Promise<Response>((done) => {
        answer = done;
      });
    },
  };
  show(answers, null);
  await vi.waitFor(() => expect(asked).toBe(1));
  answer(Response.json(preview));
  await screen.findByText(/No rule looks at it/);
  expect(button().disabled).toBe(false);

  await userEvent.click(screen.getByRole("radio", { name: /As the first run/ }));
  expect(button().disabled).toBe(true);
  expect(screen.queryByText(/No rule looks at it/)).toBeNull();
  await vi.waitFor(() => expect(asked).toBe(2));
  answer(Response.json(preview));
  await vi.waitFor(() => expect(button().disabled).toBe(false));
});
