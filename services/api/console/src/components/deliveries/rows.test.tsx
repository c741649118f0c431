import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, it, vi } from "vitest";
import { live, type News } from "@/lib/live";
import type { PageOf, Row } from "./merge";
import { useRows } from "./rows";

type Load = (cursor: string | undefined) => Promise<PageOf<Row>>;

/** A list whose pages are answered by `load`, and a hand at the socket. */
function show(load: Load) {
  const tells = new Set<(news: News) => void>();
  vi.spyOn(live, "watch").mockImplementation((_, tell) => {
    tells.add(tell);
    return () => tells.delete(tell);
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  const hook = renderHook(
    ({ key }) => useRows<Row>({ key: ["rows", key], kind: "delivery", load }),
    { wrapper, initialProps: { key: "a" } },
  );
  const tell = (news: Partial<News>) =>
    act(() => {
      for (const each of tells) each({ updates: [], omitted: [], gap: false, ...news });
    });
  return { ...hook, tell };
}

const page = (id: string, state: string, next: string | null = null) => ({
  rows: [{ id, state }],
  next,
});

function held() {
  let answer: (page: PageOf<Row>) => void = () => {};
  const promise = new Promise<PageOf<Row>>((resolve) => {
    answer = resolve;
  });
  return { promise, answer };
}

it("asks one round at a time, and once more for all that came meanwhile", async () => {
  const load = vi.fn<Load>().mockResolvedValueOnce(page("9", "pending"));
  const { result } = show(load);
  await waitFor(() => expect(result.current.rows).toHaveLength(1));
  const slow = held();
  load.mockReturnValueOnce(slow.promise).mockResolvedValue(page("9", "confirmed"));
  await act(async () => {
    const first = result.current.refresh();
    void result.current.refresh();
    void result.current.refresh();
    expect(load).toHaveBeenCalledTimes(2);
    slow.answer(page("9", "sending"));
    await first;
  });
  expect(load).toHaveBeenCalledTimes(3);
  await waitFor(() => expect(result.current.rows[0]?.state).toBe("confirmed"));
});

it("drops the answer of a filter that is no more", async () => {
  const load = vi.fn<Load>().mockResolvedValueOnce(page("9", "pending"));
  const { result, rerender } = show(load);
  await waitFor(() => expect(result.current.rows).toHaveLength(1));
  const slow = held();
  load.mockReturnValueOnce(slow.promise).mockResolvedValue(page("7", "failed"));
  await act(async () => {
    const old = result.current.refresh();
    rerender({ key: "b" });
    slow.answer(page("99", "pending"));
    await old;
  });
  await waitFor(() => expect(result.current.rows[0]?.id).toBe("7"));
  expect(result.current.newer).toBe(0);
});

it("asks all loaded pages after a gap, and is only as fresh as the oldest of them", async () => {
  const load = vi.fn<Load>((cursor) =>
    Promise.resolve(cursor ? page("8", "pending") : page("9", "pending", "c")),
  );
  const { result, tell } = show(load);
  await waitFor(() => expect(result.current.rows).toHaveLength(1));
  act(() => result.current.loadMore());
  await waitFor(() => expect(result.current.rows).toHaveLength(2));
  const before = result.current.updatedAt;
  tell({ gap: true });
  load.mockRejectedValue(new Error("down"));
  await act(() => result.current.refresh());
  await waitFor(() => expect(result.current.behind).not.toBeNull());
  expect(result.current.updatedAt).toBe(before);
  load.mockImplementation((cursor) =>
    Promise.resolve(cursor ? page("8", "failed") : page("9", "confirmed", "c")),
  );
  await act(() => result.current.refresh());
  const states = () => result.current.rows.map(({ state }) => state);
  await waitFor(() => expect(states()).toEqual(["confirmed", "failed"]));
  expect(result.current.behind).toBeNull();
});

it("keeps what it was told when asking fails", async () => {
  const load = vi.fn<Load>((cursor) =>
    Promise.resolve(cursor ? page("8", "pending") : page("9", "pending", "c")),
  );
  const { result, tell } = show(load);
  await waitFor(() => expect(result.current.rows).toHaveLength(1));
  act(() => result.current.loadMore());
  await waitFor(() => expect(result.current.rows).toHaveLength(2));
  tell({ updates: [{ kind: "delivery", id: "8", status: "failed", event_type: null }] });
  load.mockRejectedValueOnce(new Error("down"));
  await act(() => result.current.refresh());
  await act(() => result.current.refresh());
  // By scrolling, by the round that failed, and by the one after it.
  const asked = () => load.mock.calls.filter(([cursor]) => cursor === "c").length;
  await waitFor(() => expect(asked()).toBeGreaterThanOrEqual(3));
});
