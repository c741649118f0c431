import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Loaded } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { plural } from "@/lib/format";

type Detail = Schemas["ReplayDetail"];
type Difference = Schemas["replays_comparison_Difference"];

const WHY: Record<Difference["why"], string> = {
  version: "another version ran",
  result: "the same version said something else",
  missing: "did not run this time",
  new: "did not run the first time",
  actions: "matched both times, but had other things sent",
};

/** How a replay compares with the first run that was applied, rule by rule. */
export function Comparison({ eventId, replay }: { eventId: string; replay: number }) {
  const params = { path: { event_id: eventId, replay: String(replay) } };
  const query = api.useQuery("get", "/events/{event_id}/replays/{replay}", { params });
  return (
    <Loaded query={query} rows={2}>
      {(detail) => (
        <>
          <Verdict detail={detail} />
          <Deliveries title="Made by this run" rows={detail.deliveries_made} />
          <Deliveries title="Existed already, not sent again" rows={detail.deliveries_deduped} />
        </>
      )}
    </Loaded>
  );
}

function Verdict({ detail: { comparison } }: { detail: Detail }) {
  const { verdict, differences, rules, notes, first_replay: first } = comparison;
  const run = first === 0 ? "the first run" : `replay ${first}`;
  return (
    <div className="flex flex-col gap-2">
      {verdict === "identical" && (
        <p>
          Identical to {run}: {plural(rules, "rule")} said the same.
        </p>
      )}
      {verdict === "diverged" && (
        <p>
          {plural(differences.length, "difference")} to {run}, of {plural(rules, "rule")}.
        </p>
      )}
      {differences.length > 0 && <Differences rows={differences} />}
      {comparison.cut_off && <p className="text-soft">Only the first differences are shown.</p>}
      {notes.map((note) => (
        <p key={note} className="text-soft first-letter:uppercase">
          {note}
        </p>
      ))}
    </div>
  );
}

function Differences({ rows }: { rows: Difference[] }) {
  return (
    <div className="overflow-x-auto rounded-md border border-line">
      <table aria-label="Differences" className="w-full text-sm">
        <thead>
          <tr className="bg-sunken text-left text-soft text-xs">
            {["Rule", "First run", "This run", "Why"].map((title) => (
              <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.rule_id} className="border-line border-t">
              <td className="px-3 py-1.5">
                <Link to="/rules/$id" params={{ id: row.rule_id }} className="hover:underline">
                  {row.name}
                </Link>
              </td>
              <td className="px-3 py-1.5">{sideOf(row.first)}</td>
              <td className="px-3 py-1.5">{sideOf(row.this)}</td>
              <td className="px-3 py-1.5 text-soft">{WHY[row.why]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function sideOf(side: Difference["first"]): string {
  return side === null ? "did not run" : `v${side.version} ${side.result.replaceAll("_", " ")}`;
}

function Deliveries({ title, rows }: { title: string; rows: Detail["deliveries_made"] }) {
  if (rows.length === 0) return null;
  return (
    <div>
      <p className="mb-1 text-soft text-xs">{title}</p>
      <ul className="flex flex-col">
        {rows.map((row) => (
          <li key={row.id} className="flex flex-wrap items-center gap-2">
            <Status of={row.state} />
            <Link
              to="/deliveries/$id"
              params={{ id: row.id }}
              className="min-w-0 break-words py-1 hover:underline"
            >
              {row.action_key} to {row.destination}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
