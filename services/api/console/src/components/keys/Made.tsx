import { useEffect, useRef } from "react";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/Code";
import type { Schemas } from "@/lib/api";

/** The one time that a key is shown. It stays on the page until somebody says that he has it. */
export function Made({ made, onDone }: { made: Schemas["MadeKey"]; onDone: () => void }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <section
      ref={box}
      tabIndex={-1}
      aria-label={`The new key ${made.name}`}
      className="flex flex-col gap-3 rounded-lg border border-ok bg-ok-tint p-4"
    >
      <p className="text-sm">
        <strong className="font-medium">The key {made.name} was made.</strong> Keep it now: it is
        shown here once and can never be shown again. If it is lost, revoke it and make another.
      </p>
      <div className="flex items-center gap-2 rounded-md border border-line bg-card py-1 pr-1 pl-3">
        <code className="min-w-0 flex-1 break-all font-mono text-[13px]">{made.key}</code>
        <CopyButton text={made.key} label="Copy the key" />
      </div>
      <div>
        <Button onClick={onDone}>I have kept it</Button>
      </div>
    </section>
  );
}
