import { ArrowUp } from "lucide-react";
import { useSyncExternalStore } from "react";
import { type Arrivals, says } from "./arrivals";

/** What came since and waits. It hangs over the list, so that nothing moves when it appears. */
export function NewRows({ arrivals, onShow }: { arrivals: Arrivals; onShow: () => void }) {
  const waiting = useSyncExternalStore(arrivals.listen, arrivals.read);
  if (waiting.count === 0) return null;
  return (
    <div className="pointer-events-none absolute inset-x-0 top-1 z-20 flex justify-center">
      <button
        type="button"
        onClick={onShow}
        className="tabular pointer-events-auto inline-flex items-center min-h-7 gap-1.5 rounded-full bg-accent px-3.5 font-medium text-[13px] text-on-accent shadow-float hover:bg-accent-strong"
      >
        <ArrowUp aria-hidden className="size-4" />
        {says(waiting)}
      </button>
    </div>
  );
}
