import { Status } from "@/components/Badge";
import { Empty } from "@/components/States";
import { Time } from "@/components/Time";
import type { FaultState } from "@/lib/faults";

/** What each service says that it has in force: a fault that nobody has seen breaks nothing yet. */
export function Seen({ state }: { state: FaultState }) {
  if (state.services.length === 0) {
    return (
      <Empty title="No service has reported">
        Each reports every second while it runs with faults enabled.
      </Empty>
    );
  }
  const livesOn = new Set(state.services.filter((each) => each.alive).map((each) => each.service));
  return (
    <table className="w-full text-sm" aria-label="What each service sees">
      <thead>
        <tr className="text-left text-soft text-xs">
          <th scope="col" className="px-4 py-2 font-medium">
            Service
          </th>
          <th scope="col" className="px-3 py-2 font-medium">
            Sees
          </th>
          <th scope="col" className="hidden px-4 py-2 font-medium sm:table-cell">
            Last word
          </th>
        </tr>
      </thead>
      <tbody>
        {state.services.map((each) => (
          <tr key={`${each.service} ${each.instance}`} className="border-line border-t align-top">
            <td className="px-4 py-2">
              <div className="font-medium">{each.service}</div>
              <div className="break-all text-soft text-xs">{each.instance}</div>
            </td>
            <td className="px-3 py-2">
              {!each.alive && livesOn.has(each.service) ? (
                <span className="text-soft">silent; another one lives</span>
              ) : !each.alive ? (
                <Status of="silent" />
              ) : each.seen_version < state.version ? (
                <Status of="pending">not heard yet</Status>
              ) : each.active.length > 0 ? (
                <span className="font-mono text-[13px]">{each.active.join(", ")}</span>
              ) : (
                <span className="text-soft">nothing is broken</span>
              )}
            </td>
            <td className="hidden px-4 py-2 text-soft sm:table-cell">
              <Time at={each.seen_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
