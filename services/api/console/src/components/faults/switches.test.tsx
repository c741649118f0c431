import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import type { FaultState } from "@/lib/faults";
import { Switches } from "./Switches";

const state = (version: number, knobs: FaultState["knobs"]): FaultState => ({
  version,
  knobs,
  failpoints: {},
  rules: [],
  services: [],
});
const queries = new QueryClient();
const shown = (of: FaultState) => (
  <QueryClientProvider client={queries}>
    <Switches state={of} />
  </QueryClientProvider>
);
const isOn = (name: string) => screen.getByRole("switch", { name }).getAttribute("aria-checked");

it("keeps what is being edited when somebody else sets faults, and offers theirs", async () => {
  const { rerender } = render(shown(state(1, {})));
  await userEvent.click(screen.getByRole("switch", { name: "duplicateEvents" }));

  rerender(shown(state(2, { breakBroker: "timeout" })));
  expect([isOn("duplicateEvents"), isOn("breakBroker")]).toEqual(["true", "false"]);

  await userEvent.click(screen.getByRole("button", { name: "Drop my edits and show what is on" }));
  expect([isOn("duplicateEvents"), isOn("breakBroker")]).toEqual(["false", "true"]);
});

it("follows what is on while nothing is edited, also when a fault ends by itself", () => {
  const { rerender } = render(shown(state(1, { breakBroker: "timeout" })));
  expect(isOn("breakBroker")).toBe("true");
  rerender(shown(state(1, {})));
  expect(isOn("breakBroker")).toBe("false");
});
