import { type ReactNode, useCallback, useState } from "react";
import { Card } from "@/components/Page";
import { Faults } from "@/components/States";
import { Problem } from "@/lib/api";
import { BenchPanel } from "./BenchPanel";
import { type Draft, partsOf, splitFaults } from "./draft";
import { RuleForm } from "./RuleForm";
import { type Bench, type Subject, useBench } from "./useBench";
import { useVocabulary } from "./useVocabulary";

export type Ready = { blocked: string | null; bench: Bench };

/** A rule being written, with its test bench beside it. What is saved is the caller's to decide. */
export function Workbench({
  draft,
  onChange,
  subject,
  onSubject,
  saveError,
  footer,
}: {
  draft: Draft;
  onChange: (draft: Draft) => void;
  subject: Subject;
  onSubject: (subject: Subject) => void;
  saveError: unknown;
  footer: (ready: Ready) => ReactNode;
}) {
  const [both, setBoth] = useState(false);
  const [broken, setBroken] = useState(false);
  const vocabulary = useVocabulary(draft.event_type, draft.engine);
  const bench = useBench(draft, subject, both);
  const flaws = splitFaults(bench.error, saveError);
  const onBroken = useCallback((isBroken: boolean) => setBroken(isBroken), []);
  const blocked = broken || partsOf(draft) === null ? "Mend the JSON first: see the marks." : null;
  return (
    <div className="grid min-w-0 items-start gap-5 xl:grid-cols-[minmax(0,1fr)_minmax(0,26rem)]">
      <Card>
        <RuleForm
          draft={draft}
          onChange={onChange}
          flaws={flaws}
          vocabulary={vocabulary}
          onBroken={onBroken}
        />
        <div className="mt-5 flex flex-col gap-3 border-line border-t pt-4">
          <SaveError error={saveError} />
          {footer({ blocked, bench })}
          {blocked && <p className="text-soft text-xs">{blocked}</p>}
        </div>
      </Card>
      <div className="min-w-0 xl:sticky xl:top-18 xl:max-h-[calc(100dvh-5.5rem)] xl:overflow-y-auto">
        <BenchPanel
          bench={bench}
          subject={subject}
          onSubject={onSubject}
          eventType={draft.event_type}
          both={both}
          onBoth={setBoth}
          flaws={flaws}
        />
      </div>
    </div>
  );
}

function SaveError({ error }: { error: unknown }) {
  if (!error) return null;
  const title = error instanceof Problem ? error.title : "It was not saved";
  return (
    <div role="alert" className="rounded-md bg-bad-tint p-3 text-sm">
      <p className="font-medium text-bad">{title}</p>
      <p className="break-words">{error instanceof Error ? error.message : String(error)}</p>
      <Faults error={error} />
    </div>
  );
}
