import { TriangleAlert } from "lucide-react";
import type { Schemas } from "@/lib/api";
import { count, plural } from "@/lib/format";

type Preview = Schemas["Preview"];

/** What would leave the house, said before anything else about effects. */
export function Sendings({ preview }: { preview: Preview }) {
  const rows = preview.existing_deliveries;
  return (
    <section className="flex flex-col gap-2">
      <h3 className="font-medium text-[13px]">What would be sent</h3>
      {preview.effects === "force" ? <Again preview={preview} /> : <Once preview={preview} />}
      {rows.length > 0 && (
        <div className="overflow-x-auto">
          <table className="w-full table-fixed border-collapse text-sm" aria-label="Sent already">
            <thead>
              <tr className="border-line border-b text-left text-soft text-xs">
                <th scope="col" className="py-1 pr-3 font-medium">
                  Rule and action
                </th>
                <th scope="col" className="hidden py-1 pr-3 font-medium sm:table-cell">
                  Destination
                </th>
                <th scope="col" className="w-28 py-1 text-right font-medium">
                  Sent already
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr
                  key={`${row.rule_id}/${row.event_type}/${row.action_key}/${row.destination}`}
                  className="border-line border-b last:border-0"
                >
                  <td className="truncate py-1 pr-3" title={`${row.rule_name} ${row.action_key}`}>
                    {row.rule_name} <span className="text-soft">{row.action_key}</span>
                    <span className="block truncate text-soft text-xs">on {row.event_type}</span>
                  </td>
                  <td
                    className="hidden truncate py-1 pr-3 text-soft sm:table-cell"
                    title={row.destination}
                  >
                    {row.destination}
                  </td>
                  <td className="py-1 text-right">{count(row.deliveries)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Effects dedupe and none: nothing goes out twice. */
function Once({ preview }: { preview: Preview }) {
  if (preview.effects === "none") return <p className="text-sm">Nothing is sent at all.</p>;
  return <p className="text-sm">Nothing is sent a second time. {most(preview.at_most_new)}</p>;
}

function Again({ preview }: { preview: Preview }) {
  return (
    <p className="flex gap-2 rounded-md bg-bad-tint p-3 text-bad text-sm">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span>
        {plural(preview.would_send_again, "delivery", "deliveries")} of the first{" "}
        {plural(preview.effects_of, "event")} would be sent again. {most(preview.at_most_new)}
      </span>
    </p>
  );
}

function most(bound: number | null): string {
  if (bound === null) return "How many new ones there would be is not known beforehand.";
  if (bound === 0) return "No new one would be made.";
  return `New ones: at most ${count(bound)}, if every rule matched every event.`;
}
