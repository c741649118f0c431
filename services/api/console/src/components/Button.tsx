import { Slot } from "radix-ui";
import type { ComponentProps, MouseEvent, ReactNode } from "react";
import { Tip } from "./Tip";

type Look = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent font-medium",
  plain: "bg-card text-ink border-line hover:border-edge",
  quiet: "bg-transparent text-soft border-transparent hover:bg-sunken hover:text-ink",
  danger: "bg-card text-bad border-line hover:border-bad",
};

type Props = ComponentProps<"button"> & {
  look?: Look;
  small?: boolean;
  asChild?: boolean;
  /** Its act is under way or done: it takes no press now and, unlike a disabled one, keeps the focus. */
  busy?: boolean;
};

/** Every button and, with asChild, every link that looks like one. */
export function Button({ look = "plain", small, asChild, busy, className = "", ...rest }: Props) {
  const Part = asChild ? Slot.Root : "button";
  const size = small ? "min-h-7 px-2 text-[13px] gap-1" : "min-h-9 px-3 text-sm gap-1.5";
  return (
    <Part
      {...(asChild ? {} : { type: "button" as const })}
      className={`inline-flex shrink-0 items-center justify-center whitespace-nowrap rounded-md border transition-colors disabled:opacity-50 aria-disabled:opacity-50 ${size} ${LOOKS[look]} ${className}`}
      {...rest}
      {...(busy
        ? {
            "aria-disabled": true,
            onClick: (event: MouseEvent<HTMLButtonElement>) => event.preventDefault(),
          }
        : {})}
    />
  );
}

/** A button that is only a picture: its name is read aloud and shown as a tip. */
export function IconButton({
  label,
  children,
  ...rest
}: Omit<Props, "aria-label"> & { label: string; children: ReactNode }) {
  return (
    <Tip text={label}>
      <Button look="quiet" aria-label={label} className="min-w-9 px-0!" {...rest}>
        {children}
      </Button>
    </Tip>
  );
}
