import {
  type ComponentProps,
  type KeyboardEvent,
  type Ref,
  useEffect,
  useRef,
  useState,
} from "react";
import { Input } from "@/components/Fields";

const TYPING_MS = 350;

type Props = Omit<ComponentProps<"input">, "value" | "onChange"> & {
  value: string;
  /** Called a moment after the last letter, and at once on Enter. */
  onApply: (value: string, isTyping: boolean) => void;
  /** Shorter texts are applied on Enter only: the api wants more, and more is on its way. */
  shortest?: number;
  ref?: Ref<HTMLInputElement>;
};

/** A text filter that is applied while it is typed, and follows the address when that changes. */
export function FilterText({ value, onApply, shortest = 0, ...rest }: Props) {
  const [text, setText] = useState(value);
  const timer = useRef<number | undefined>(undefined);
  const applied = useRef(value);
  useEffect(() => {
    // The address changed by itself (a chip, Back): the field says what it says.
    if (value !== applied.current) setText(value);
    applied.current = value;
  }, [value]);
  useEffect(() => () => window.clearTimeout(timer.current), []);

  const apply = (next: string, isTyping: boolean) => {
    window.clearTimeout(timer.current);
    if (next.trim() === applied.current) return;
    applied.current = next.trim();
    onApply(next.trim(), isTyping);
  };
  const type = (next: string) => {
    setText(next);
    window.clearTimeout(timer.current);
    const length = next.trim().length;
    if (length > 0 && length < shortest) return;
    timer.current = window.setTimeout(() => apply(next, true), TYPING_MS);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter") apply(text, false);
    if (event.key === "Escape") event.currentTarget.blur();
  };
  return (
    <Input
      maxLength={255}
      {...rest}
      value={text}
      onChange={(event) => type(event.target.value)}
      onKeyDown={onKeyDown}
    />
  );
}
