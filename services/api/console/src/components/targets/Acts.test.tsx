import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { Tooltip } from "radix-ui";
import { expect, it, vi } from "vitest";
import { client, Problem } from "@/lib/api";
import { Acts } from "./Acts";
import { sample as target } from "./sample";

vi.mock("@/lib/session", async (original) => ({ ...(await original()), useMay: () => true }));

it("an edit counts for the revision that the form was opened with, and says what changed", async () => {
  const stale = new Problem(412, "stale-version", "Stale", "it was changed", []);
  const patch = vi.spyOn(client, "PATCH").mockRejectedValue(stale);
  const done = vi.fn();
  const { rerender } = render(<Acts target={target} done={done} />, { wrapper: Tooltip.Provider });
  fireEvent.click(screen.getByRole("button", { name: "Edit" }));
  // Somebody else changes it, and the page asks again while the form is open.
  const now = { ...target, revision: 2, timeout_ms: 30_000 };
  rerender(<Acts target={now} done={done} />);
  fireEvent.change(screen.getByLabelText("Most in flight"), { target: { value: "20" } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.getByText("Timeout, ms: was 15000, is 30000")).toBeTruthy());
  expect(done).toHaveBeenCalled();
  expect(patch).toHaveBeenCalledWith("/targets/{target_id}", {
    params: { path: { target_id: "t" }, header: { "If-Match": '"1"' } },
    body: { in_flight_max: 20 },
  });
});
