import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "@/components/Button";
import { type Act, Bulk } from "@/components/dead-letters/Bulk";
import { COLUMNS } from "@/components/dead-letters/columns";
import { filtersOf, STATE } from "@/components/dead-letters/filters";
import { Groups } from "@/components/dead-letters/Groups";
import { LetterDrawer } from "@/components/dead-letters/Letter";
import { stateOf, useLetters } from "@/components/dead-letters/queries";
import { searchOf, withoutContradiction } from "@/components/dead-letters/words";
import { FilterBar } from "@/components/deliveries/FilterBar";
import { LiveList } from "@/components/deliveries/LiveList";
import { useTargetNames } from "@/components/deliveries/names";
import { Page } from "@/components/Page";
import { Empty } from "@/components/States";
import type { Search } from "@/lib/search";
import { useMay } from "@/lib/session";

const route = getRouteApi("/dead-letters");
const LEAD =
  "What could not be published, processed or delivered, and what no retry mended. Mend the cause, then redrive.";

export function DeadLetters() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const targets = useTargetNames();
  const list = useLetters(search);
  const [bulk, setBulk] = useState<{ act: Act; start: Search } | null>(null);
  const { letter, ...filters } = search;
  const change = (part: Search) =>
    void navigate({
      search: (before) => ({ ...before, ...withoutContradiction(part) }),
      replace: true,
    });
  const show = (id: string | undefined) =>
    void navigate({ search: (before) => ({ ...before, letter: id }), resetScroll: false });
  return (
    <Page title="Dead letters" lead={LEAD}>
      <Groups act={(act, group) => setBulk({ act, start: searchOf(group) })} />
      <FilterBar filters={[STATE, ...filtersOf(targets)]} search={filters} change={change} />
      <LiveList
        title={titleOf(search)}
        noun="dead letter"
        list={list}
        columns={COLUMNS}
        onOpen={({ id }) => show(id)}
        aside={
          stateOf(search) === "open" &&
          list.rows.length > 0 && <BulkActs act={(act) => setBulk({ act, start: filters })} />
        }
        empty={
          <Nothing
            filtered={Object.keys(filters).length > 0}
            clear={() => void navigate({ search: {} })}
          />
        }
      />
      {letter !== undefined && (
        <LetterDrawer
          id={letter}
          close={() => show(undefined)}
          changed={() => void list.refresh()}
        />
      )}
      {bulk && (
        <Bulk
          {...bulk}
          targets={targets}
          close={() => {
            setBulk(null);
            void list.refresh();
          }}
        />
      )}
    </Page>
  );
}

function BulkActs({ act }: { act: (act: Act) => void }) {
  const may = useMay("dead-letters:write");
  if (!may) return null;
  return (
    <>
      <Button small onClick={() => act("redrive")}>
        Redrive all that match…
      </Button>
      <Button small look="quiet" onClick={() => act("discard")}>
        Discard all that match…
      </Button>
    </>
  );
}

function titleOf(search: Search): string {
  const state = stateOf(search);
  return state === null ? "All dead letters" : `Dead letters: ${state.replaceAll("_", " ")}`;
}

function Nothing({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered)
    return (
      <Empty
        title="No dead letter matches"
        actions={<Button onClick={clear}>Clear filters</Button>}
      >
        The api was asked and has none with these filters.
      </Empty>
    );
  return <Empty title="No open dead letter">Everything accepted went its way.</Empty>;
}
