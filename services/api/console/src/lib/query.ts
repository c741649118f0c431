import { QueryClient } from "@tanstack/react-query";
import { Problem } from "./api";

const RETRIES = 2;

/** A refusal is an answer and is shown at once; only silence and 503 are asked again. */
export function worthAnotherTry(count: number, error: unknown): boolean {
  const passing = error instanceof Problem && (error.unreachable || error.status === 503);
  return passing && count < RETRIES;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: worthAnotherTry, staleTime: 2_000, refetchOnWindowFocus: true },
    mutations: { retry: false },
  },
});
