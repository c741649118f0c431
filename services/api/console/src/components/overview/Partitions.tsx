import { Status } from "@/components/Badge";
import { Empty } from "@/components/States";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { compact, count } from "@/lib/format";

/** How far each partition is; the bar compares their lags with the largest one. */
export function Partitions({ partitions }: { partitions: Schemas["Overview"]["partitions"] }) {
  if (partitions.length === 0) {
    return (
      <Empty title="No consumer has reported">
        It reports each of its partitions every second.
      </Empty>
    );
  }
  const most = Math.max(1, ...partitions.map((each) => each.lag));
  return (
    <section
      className="max-h-96 overflow-y-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard too
      tabIndex={0}
      aria-label="Lag per partition, scrollable"
    >
      <table className="w-full text-sm" aria-label="Lag per partition">
        <thead className="sticky top-0 bg-card text-left text-soft text-xs shadow-[inset_0_-1px_0_var(--line)]">
          <tr>
            <th scope="col" className="px-4 py-2 font-medium">
              Partition
            </th>
            <th scope="col" className="px-3 py-2 text-right font-medium">
              Lag
            </th>
            <th scope="col" className="hidden w-1/4 px-3 py-2 font-medium sm:table-cell">
              <span className="sr-only">Compared</span>
            </th>
            <th scope="col" className="hidden px-3 py-2 text-right font-medium sm:table-cell">
              Applied to
            </th>
            <th scope="col" className="px-4 py-2 font-medium">
              Reported
            </th>
          </tr>
        </thead>
        <tbody>
          {partitions.map((each) => (
            <tr
              key={`${each.topic}/${each.partition}`}
              className="border-line border-b last:border-0"
            >
              <td className="px-4 py-1.5" title={each.consumer}>
                {each.topic}/{each.partition}
              </td>
              <td className="px-3 py-1.5 text-right" title={count(each.lag)}>
                {compact(each.lag)}
              </td>
              <td className="hidden px-3 py-1.5 sm:table-cell">
                <div className="h-1.5 rounded-full bg-sunken" aria-hidden>
                  <div
                    className="h-full rounded-full bg-warn"
                    style={{ width: `${(each.lag / most) * 100}%` }}
                  />
                </div>
              </td>
              <td className="hidden px-3 py-1.5 text-right sm:table-cell">
                {count(each.committed)}
              </td>
              <td className="px-4 py-1.5 text-soft">
                {each.stale ? <Status of="silent" /> : <Time at={each.updated_at} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
