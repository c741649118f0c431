import { type ReactNode, useState } from "react";
import { usePrefs } from "@/lib/prefs";
import { fromInput, toInput } from "@/lib/time";
import { Field, Input } from "./Fields";

const YEAR_MIN = "1000";

/** A moment, ISO or none, typed and shown on the clock that the person chose; its label says which. */
export function MomentInput({
  label,
  value,
  onChange,
  hint,
  error,
  className,
}: {
  label: string;
  value: string | undefined;
  onChange: (moment: string | undefined) => void;
  hint?: ReactNode;
  error?: ReactNode;
  className?: string;
}) {
  const { clock } = usePrefs();
  // What is being typed stands as it is: a year has three digits before it has four.
  const [typed, setTyped] = useState<string | null>(null);
  const change = (text: string) => {
    setTyped(text);
    if (text === "") onChange(undefined);
    const moment = text >= YEAR_MIN ? fromInput(text, clock, value) : "";
    if (moment !== "") onChange(moment);
  };
  return (
    <Field
      label={`${label}, ${clock === "utc" ? "UTC" : "local time"}`}
      hint={hint}
      error={error}
      {...(className ? { className } : {})}
    >
      {(props) => (
        <Input
          {...props}
          type="datetime-local"
          step={1}
          max="9999-12-31T23:59:59"
          value={typed ?? toInput(value, clock)}
          onChange={(event) => change(event.target.value)}
          onBlur={() => setTyped(null)}
        />
      )}
    </Field>
  );
}
