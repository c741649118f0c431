import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { Tooltip } from "radix-ui";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setPrefs } from "@/lib/prefs";
import { Confirm } from "./Dialog";
import { MomentInput } from "./MomentInput";

describe("a question before an act", () => {
  it("begins anew each time: no reason and no error of an earlier one", async () => {
    const ask = (open: boolean) => (
      <Tooltip.Provider>
        <Confirm
          open={open}
          onClose={() => {}}
          title="Discard"
          verb="Do it"
          reason="required"
          run={() => Promise.reject(new Error("it was not open"))}
        >
          <p>Sure?</p>
        </Confirm>
      </Tooltip.Provider>
    );
    const { rerender } = render(ask(true));
    fireEvent.change(screen.getByLabelText("Reason"), { target: { value: "old" } });
    fireEvent.click(screen.getByRole("button", { name: "Do it" }));
    await waitFor(() => expect(screen.getByRole("alert").textContent).toBe("it was not open"));
    rerender(ask(false));
    rerender(ask(true));
    expect(screen.getByLabelText<HTMLInputElement>("Reason").value).toBe("");
    expect(screen.queryByRole("alert")).toBeNull();
  });
});

describe("a field for a moment", () => {
  afterEach(() => setPrefs({ clock: "local" }));

  it("names its clock and reads what is typed on it", () => {
    setPrefs({ clock: "utc" });
    const change = vi.fn();
    render(<MomentInput label="Since" value="2026-11-22T10:00:00Z" onChange={change} />);
    const field = screen.getByLabelText<HTMLInputElement>("Since, UTC");
    expect(field.value).toMatch(/^2026-11-22T10:00/);
    fireEvent.change(field, { target: { value: "2026-11-22T11:30:00" } });
    expect(change).toHaveBeenLastCalledWith("2026-11-22T11:30:00.000Z");
    fireEvent.change(field, { target: { value: "" } });
    expect(change).toHaveBeenLastCalledWith(undefined);
  });

  it("waits for the year to be typed", () => {
    const change = vi.fn();
    render(<MomentInput label="Since" value={undefined} onChange={change} />);
    const field = screen.getByLabelText("Since, local time");
    fireEvent.change(field, { target: { value: "0202-11-22T11:30:00" } });
    expect(change).not.toHaveBeenCalled();
  });
});
