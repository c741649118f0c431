import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Card, Updated } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { compact, count } from "@/lib/format";
import { useMay } from "@/lib/session";
import { placeOf } from "../deliveries/words";
import type { Act } from "./Bulk";
import { useExample, useLetterGroups } from "./queries";
import { type Group, STUCK, searchOf, stageOf } from "./words";

const SHOWN_FIRST = 8;

/** What is wrong, how many, since when, and one example: the largest group first. */
export function Groups({ act }: { act: (act: Act, group: Group) => void }) {
  const query = useLetterGroups();
  return (
    <Card title="By cause" aside={<Updated at={query.dataUpdatedAt} />} flush>
      <Loaded query={query} rows={4}>
        {(found) => <Shown found={found} act={act} />}
      </Loaded>
    </Card>
  );
}

function Shown({
  found,
  act,
}: {
  found: Schemas["Groups"];
  act: (act: Act, group: Group) => void;
}) {
  const [all, setAll] = useState(false);
  if (found.groups.length === 0)
    return (
      <Empty title="Nothing is stuck">
        What could not be published, processed or delivered, and what no retry mended, would be
        here.
      </Empty>
    );
  const shown = all ? found.groups : found.groups.slice(0, SHOWN_FIRST);
  return (
    <>
      <ul className="divide-y divide-line" aria-label="Causes">
        {shown.map((group) => (
          <GroupRow
            key={`${group.stage} ${group.error_class} ${group.event_type}`}
            group={group}
            act={act}
          />
        ))}
      </ul>
      {(shown.length < found.groups.length || found.cut_off) && (
        <div className="flex flex-wrap items-center gap-3 border-line border-t px-4 py-2 text-soft text-xs">
          {shown.length < found.groups.length && (
            <Button small onClick={() => setAll(true)}>
              Show all {count(found.groups.length)} causes
            </Button>
          )}
          {found.cut_off && "There are more than are counted here."}
        </div>
      )}
    </>
  );
}

function GroupRow({ group, act }: { group: Group; act: (act: Act, group: Group) => void }) {
  const may = useMay("dead-letters:write");
  const search = searchOf(group);
  const { letter, delivery } = useExample(group);
  const to = delivery && placeOf(delivery, delivery.target_name ?? undefined);
  return (
    <li className="grid grid-cols-[minmax(2.5rem,auto)_1fr] items-start gap-x-4 gap-y-2 px-4 py-3 md:grid-cols-[3.5rem_1fr_auto]">
      <p className="tabular font-semibold text-2xl leading-7" title={count(group.count)}>
        {compact(group.count)}
      </p>
      <div className="min-w-0 text-sm">
        <p className="break-words">
          <Link
            to="/dead-letters"
            search={search}
            resetScroll={false}
            className="font-medium hover:underline"
          >
            {group.error_class}
          </Link>{" "}
          <span className="text-soft">
            {STUCK[stageOf(group)]}
            {" · "}
            {group.event_type ?? "without an event type"}
          </span>
        </p>
        <p className="text-soft text-xs">
          since <Time at={group.oldest_at} />, the newest <Time at={group.newest_at} />
        </p>
        {letter && (
          <p className="mt-1 truncate text-soft">
            <Link
              to="/dead-letters"
              search={(before) => ({ ...before, letter: letter.id })}
              resetScroll={false}
              className="text-accent underline"
            >
              Example
            </Link>
            {to && ` to ${to}`}: {letter.error_message}
          </p>
        )}
      </div>
      {may && (
        <div className="col-start-2 flex gap-2 md:col-start-3">
          <Button small onClick={() => act("redrive", group)}>
            Redrive…<span className="sr-only"> {group.error_class}</span>
          </Button>
          <Button small look="quiet" onClick={() => act("discard", group)}>
            Discard…<span className="sr-only"> {group.error_class}</span>
          </Button>
        </div>
      )}
    </li>
  );
}
