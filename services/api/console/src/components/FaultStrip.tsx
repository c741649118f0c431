import { Link } from "@tanstack/react-router";
import { Flame } from "lucide-react";
import { useOverview } from "@/lib/overview";
import { duration, useNow } from "@/lib/time";

/** Red, on every page, while something is broken on purpose. */
export function FaultStrip() {
  const overview = useOverview();
  const now = useNow();
  const faults = overview.data?.faults ?? [];
  if (faults.length === 0) return null;
  const gone = (now - overview.dataUpdatedAt) / 1000;
  const left = Math.max(...faults.map((fault) => fault.seconds_left)) - gone;
  if (left <= 0) return null;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 bg-[#a11d16] px-4 py-2 text-sm text-white sm:px-6">
      <Flame aria-hidden className="size-4 shrink-0" />
      <span>
        {/* The seconds stand outside: readers would hear each of them. */}
        <span role="status">
          <strong className="font-semibold">Faults are on:</strong>{" "}
          {faults.map((fault) => fault.knob).join(", ")}. They end by themselves
          <span className="sr-only">.</span>
        </span>
        <span aria-hidden> in {duration(Math.max(0, left) * 1000)}.</span>
      </span>
      <Link to="/faults" className="ml-auto underline underline-offset-2">
        See and switch off
      </Link>
    </div>
  );
}
