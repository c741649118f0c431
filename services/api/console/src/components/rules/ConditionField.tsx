import { useState } from "react";
import { Button } from "@/components/Button";
import { type Diagnostic, JsonEditor } from "@/components/editor/JsonEditor";
import type { Words } from "@/components/editor/words";
import { Builder, simpleOf } from "./Builder";
import type { Engine } from "./draft";

/** The condition, by rows where it has that form, and always as JSON. */
export function ConditionField({
  value,
  onChange,
  engine,
  words,
  diagnostics,
  onFlaws,
}: {
  value: string;
  onChange: (value: string) => void;
  engine: Engine;
  words: Words;
  diagnostics: Diagnostic[];
  onFlaws: (count: number) => void;
}) {
  const [asRows, setAsRows] = useState(() => simpleOf(value) !== null);
  const isSimple = simpleOf(value) !== null;
  // While rows are being filled they may not be of the simple form yet, and must not vanish.
  const [filling, setFilling] = useState(false);
  const rows = asRows && (isSimple || filling);
  return (
    <section aria-label="Condition" className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h3 className="font-medium text-[13px]">When does it apply?</h3>
        <fieldset className="flex rounded-md border border-line p-0.5">
          <legend className="sr-only">How the condition is shown</legend>
          <Button
            small
            look={rows ? "plain" : "quiet"}
            aria-pressed={rows}
            disabled={!isSimple && !rows}
            title={isSimple ? undefined : "This condition says more than rows can show"}
            onClick={() => {
              setAsRows(true);
              // The text is JSON of the simple form, so the editor that goes had nothing to tell.
              onFlaws(0);
            }}
          >
            Rows
          </Button>
          <Button
            small
            look={rows ? "quiet" : "plain"}
            aria-pressed={!rows}
            onClick={() => {
              setAsRows(false);
              setFilling(false);
            }}
          >
            JSON
          </Button>
        </fieldset>
      </div>
      {rows && (
        <Builder
          condition={value}
          paths={words.paths}
          engine={engine}
          onChange={(text) => {
            setFilling(true);
            onChange(text);
          }}
        />
      )}
      {rows ? (
        <ul aria-label="What is wrong with the condition" aria-live="polite">
          {diagnostics.map(({ pointer, message }) => (
            <li key={pointer + message} className="break-words text-[13px] text-bad">
              {message}
            </li>
          ))}
        </ul>
      ) : (
        <JsonEditor
          label="Condition"
          value={value}
          onChange={onChange}
          diagnostics={diagnostics}
          completions={words}
          onFlaws={onFlaws}
          height="13rem"
        />
      )}
      {!rows && (
        <p className="text-soft text-xs">
          JSONLogic on the event’s data; <code className="font-mono">true</code> takes every event.
          Ctrl-Space completes. Tab leaves the editor.
        </p>
      )}
    </section>
  );
}
