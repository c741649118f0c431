import type { ReactNode } from "react";
import { Switch } from "@/components/Fields";

/** What was never tested is published only by who says that it shall be. */
export function Untested({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
}) {
  return (
    <div className="flex flex-col gap-2 rounded-md bg-warn-tint p-2.5">
      <p className="text-warn">{children}</p>
      <Switch label="Publish without a test" checked={checked} onChange={onChange} />
    </div>
  );
}
