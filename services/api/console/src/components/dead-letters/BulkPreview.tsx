import { useQuery } from "@tanstack/react-query";
import { Field, Input } from "@/components/Fields";
import { Facts } from "@/components/Page";
import { Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { Problem } from "@/lib/api";
import { count } from "@/lib/format";
import type { Act } from "./Bulk";
import { listLetters } from "./queries";
import {
  countedAs,
  DISCARD_MEANS,
  type Filter,
  isStage,
  type Preview,
  REDRIVE_MEANS,
  STUCK,
  stageOf,
} from "./words";

const SAMPLE_ROWS = 5;

/** How many, which, and what the act would do to them; nothing has happened yet. */
export function BulkPreview({
  act,
  filter,
  preview,
  reason,
  setReason,
  error,
}: {
  act: Act;
  filter: Filter;
  preview: Preview;
  reason: string;
  setReason: (reason: string) => void;
  error: unknown;
}) {
  const faults = error instanceof Problem ? error.faults : [];
  const causes = Object.entries(preview.by_error_class);
  return (
    <div className="flex flex-col gap-4 text-sm">
      <p className="font-medium text-base">{countedAs(preview)}</p>
      {preview.matched > 0 && (
        <>
          <Means act={act} stages={Object.keys(preview.by_stage)} />
          <Facts
            facts={causes.map(([cause, number]) => [
              cause,
              <span key={cause} className="tabular">
                {count(number)}
              </span>,
            ])}
          />
          <Sample filter={filter} />
          {act === "discard" && (
            <Field
              label="Reason"
              hint="It is kept with each dead letter and in the audit log."
              error={faults.find(({ pointer }) => pointer === "/reason")?.detail}
            >
              {(props) => (
                <Input
                  {...props}
                  value={reason}
                  maxLength={1000}
                  onChange={(event) => setReason(event.target.value)}
                />
              )}
            </Field>
          )}
        </>
      )}
    </div>
  );
}

function Means({ act, stages }: { act: Act; stages: string[] }) {
  const means = act === "redrive" ? REDRIVE_MEANS : DISCARD_MEANS;
  return (
    <ul className="flex flex-col gap-2">
      {stages.filter(isStage).map((stage) => (
        <li key={stage}>
          <span className="font-medium">{STUCK[stage]}:</span>{" "}
          <span className="text-soft">{means[stage]}</span>
        </li>
      ))}
    </ul>
  );
}

function Sample({ filter }: { filter: Filter }) {
  const query = useQuery({
    queryKey: ["sample", filter],
    queryFn: ({ signal }) => listLetters({ filter, state: "open", limit: SAMPLE_ROWS, signal }),
  });
  return (
    <div>
      <h3 className="mb-1 font-medium">The newest of them</h3>
      <Loaded query={query} rows={3}>
        {({ rows }) => (
          <ul className="divide-y divide-line rounded-md border border-line">
            {rows.map((letter) => (
              <li key={letter.id} className="flex items-baseline justify-between gap-3 px-3 py-1.5">
                <span className="min-w-0 truncate">
                  {letter.error_message}
                  <span className="text-soft">
                    {" "}
                    · {letter.event_type ?? letter.topic ?? STUCK[stageOf(letter)]}
                  </span>
                </span>
                <Time at={letter.created_at} />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </div>
  );
}
