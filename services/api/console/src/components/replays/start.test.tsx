import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import type { Schemas } from "@/lib/api";
import { type Asked, previewBody } from "./asked";
import { Start } from "./Start";

vi.mock("@tanstack/react-router", () => ({ useNavigate: () => vi.fn() }));

const ASKED: Asked = { mode: "current", effects: "dedupe", versions: {} };
const PREVIEW = { count: 2, exact: true, replayable: 2, would_send_again: 0 } as Schemas["Preview"];
const bodyOf = (part: Partial<Asked>) => previewBody({}, { ...ASKED, ...part }, "2026-11-22");

it("keeps the rate, the reason and the request's key while another choice is looked at", async () => {
  const keys: (string | null)[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    keys.push(request.headers.get("Idempotency-Key"));
    throw new Error("the answer was lost");
  });
  const queries = new QueryClient();
  const shown = (part: Partial<Asked>, preview: Schemas["Preview"] | undefined) => (
    <QueryClientProvider client={queries}>
      <Start body={bodyOf(part)} preview={preview} waiting={preview === undefined} />
    </QueryClientProvider>
  );
  const { rerender } = render(shown({}, PREVIEW));
  await userEvent.type(screen.getByRole("textbox", { name: "Reason" }), "it was mended");
  const rate = screen.getByRole("spinbutton");
  await userEvent.clear(rate);
  await userEvent.type(rate, "7");
  await userEvent.click(screen.getByRole("button", { name: "Replay 2 events" }));
  await screen.findByRole("alert");

  rerender(shown({ effects: "none" }, undefined));
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Replay" }).disabled).toBe(true);
  expect(screen.queryByRole("alert")).toBeNull();
  rerender(shown({}, PREVIEW));

  expect(screen.getByRole<HTMLInputElement>("textbox").value).toBe("it was mended");
  expect(screen.getByRole<HTMLInputElement>("spinbutton").value).toBe("7");
  await userEvent.click(screen.getByRole("button", { name: "Replay 2 events" }));
  await vi.waitFor(() => expect(keys).toHaveLength(2));
  expect(keys[0]).toBe(keys[1]);

  // The preview did not see the whole range: its numbers are never said as if they were all.
  rerender(shown({}, { ...PREVIEW, exact: false }));
  screen.getByRole("button", { name: "Replay at least 2 events" });
  rerender(shown({}, { ...PREVIEW, exact: false, count: 0, replayable: 0 }));
  expect(screen.getByRole("button", { name: "Replay what matches" })).toHaveProperty(
    "disabled",
    false,
  );
  vi.unstubAllGlobals();
});
