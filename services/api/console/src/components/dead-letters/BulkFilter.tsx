import { Field, Input } from "@/components/Fields";
import { Problem } from "@/lib/api";
import { count } from "@/lib/format";
import type { Search } from "@/lib/search";
import { FilterBar } from "../deliveries/FilterBar";
import { LIMIT_MAX } from "./Bulk";
import { filtersOf } from "./filters";
import { filterOf, isEmpty } from "./words";

/** Which open dead letters are meant. */
export function BulkFilter({
  search,
  change,
  limit,
  setLimit,
  targets,
  error,
}: {
  search: Search;
  change: (part: Search) => void;
  limit: string;
  setLimit: (limit: string) => void;
  targets: [string, string][];
  error: unknown;
}) {
  const faults = error instanceof Problem ? error.faults : [];
  return (
    <div className="flex flex-col gap-4">
      <p className="text-soft text-sm">
        Only open ones are meant. The next step shows how many these are; nothing happens before.
      </p>
      <FilterBar filters={filtersOf(targets)} search={search} change={change} />
      <Field
        label="At most"
        hint={`1 to ${count(LIMIT_MAX)} at a time, the oldest first`}
        error={faults.find(({ pointer }) => pointer === "/limit")?.detail}
        className="sm:w-44"
      >
        {(props) => (
          <Input
            {...props}
            inputMode="numeric"
            value={limit}
            onChange={(event) => setLimit(event.target.value)}
          />
        )}
      </Field>
      {isEmpty(filterOf(search)) && (
        <p className="rounded-md bg-warn-tint px-3 py-2 text-sm text-warn">
          Without a filter this means every open dead letter of all stages.
        </p>
      )}
    </div>
  );
}
