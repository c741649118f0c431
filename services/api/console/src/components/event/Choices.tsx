import { useId } from "react";
import type { Effects, Mode } from "./forecast";

const MODES: [Mode, string, string][] = [
  ["current", "Current rules", "as they are now"],
  ["original", "As the first run", "the same versions; shows whether the result is the same"],
  ["pinned", "Chosen versions", "only the rules and versions that you pick"],
];
const EFFECTS: [Effects, string, string][] = [
  ["dedupe", "Send only what is missing", "nothing is sent twice"],
  ["none", "Send nothing", "a dry run that is kept in the history"],
  ["force", "Send everything again", "also what was confirmed"],
];

/** By which rules, and with which effects. */
export function Choices({
  mode,
  effects,
  mayForce,
  onChange,
}: {
  mode: Mode;
  effects: Effects;
  mayForce: boolean;
  onChange: (part: { mode?: Mode; effects?: Effects }) => void;
}) {
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Radios
        title="Rules"
        options={MODES}
        value={mode}
        onChange={(chosen) => onChange({ mode: chosen })}
      />
      <Radios
        title="Webhooks and e-mails"
        options={mayForce ? EFFECTS : EFFECTS.filter(([name]) => name !== "force")}
        value={effects}
        onChange={(chosen) => onChange({ effects: chosen })}
      />
    </div>
  );
}

function Radios<Name extends string>({
  title,
  options,
  value,
  onChange,
}: {
  title: string;
  options: [Name, string, string][];
  value: Name;
  onChange: (chosen: Name) => void;
}) {
  const group = useId();
  return (
    <fieldset className="flex min-w-0 flex-col gap-1.5">
      <legend className="mb-1.5 font-medium text-[13px]">{title}</legend>
      {options.map(([name, label, hint]) => (
        <label
          key={name}
          className="flex cursor-pointer items-start gap-2.5 rounded-md border border-line px-3 py-2 text-sm hover:border-edge has-checked:border-accent has-checked:bg-accent-tint"
        >
          <input
            type="radio"
            name={group}
            checked={value === name}
            onChange={() => onChange(name)}
            className="mt-1 accent-[var(--accent)]"
          />
          <span className="min-w-0">
            <span className="block font-medium">{label}</span>
            <span className="block text-soft text-xs">{hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
