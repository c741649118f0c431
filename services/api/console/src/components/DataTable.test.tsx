import { cleanup, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { createPortal } from "react-dom";
import { afterEach, expect, it, vi } from "vitest";
import { DataTable } from "./DataTable";

afterEach(cleanup);

const ROWS = [{ id: "a" }];
const CELL = () => (
  <>
    <span>beside</span>
    {createPortal(<p>in a dialog</p>, document.body)}
  </>
);

it("a click in a dialog that a row has opened does not open the row", async () => {
  const onOpen = vi.fn();
  const columns = [{ id: "a", title: "A", cell: CELL }];
  render(
    <DataTable
      label="Rows"
      columns={columns}
      rows={ROWS}
      rowKey={({ id }) => id}
      onOpen={onOpen}
    />,
  );
  await userEvent.click(screen.getByText("in a dialog"));
  expect(onOpen).not.toHaveBeenCalled();
  await userEvent.click(screen.getByText("beside"));
  expect(onOpen).toHaveBeenCalledTimes(1);
});

it("a list that does not scroll by itself never loads page after page", () => {
  const onEnd = vi.fn();
  const columns = [{ id: "a", title: "A", cell: () => "x" }];
  render(
    <DataTable label="Rows" columns={columns} rows={ROWS} rowKey={({ id }) => id} onEnd={onEnd} />,
  );
  expect(onEnd).not.toHaveBeenCalled();
});
