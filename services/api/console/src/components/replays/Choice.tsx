import type { ReactNode } from "react";

type Option<T extends string> = { value: T; title: ReactNode; text: ReactNode; disabled?: boolean };

/** One of a few, each with what it means. */
export function Choice<T extends string>({
  legend,
  name,
  options,
  value,
  onChange,
  disabled,
}: {
  legend: string;
  name: string;
  options: Option<T>[];
  value: T;
  onChange: (value: T) => void;
  disabled?: boolean;
}) {
  return (
    <fieldset className="flex min-w-0 flex-col gap-2" disabled={disabled}>
      <legend className="mb-1.5 font-medium text-[13px]">{legend}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className="flex cursor-pointer gap-2.5 rounded-md border border-line px-3 py-2 has-checked:border-accent has-checked:bg-accent-tint has-disabled:cursor-not-allowed has-disabled:opacity-60"
        >
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={value === option.value}
            disabled={option.disabled}
            onChange={() => onChange(option.value)}
            className="mt-1 shrink-0 accent-accent"
          />
          <span className="min-w-0">
            <span className="block font-medium text-sm">{option.title}</span>
            <span className="block text-soft text-xs">{option.text}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
