import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

export type Item = { title: ReactNode; run: () => void; danger?: boolean; disabled?: boolean };

export function Menu({ trigger, items }: { trigger: ReactNode; items: Item[] }) {
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={4}
          collisionPadding={8}
          className="z-50 min-w-44 rounded-md border border-line bg-card p-1 shadow-float"
        >
          {items.map((item, place) => (
            <DropdownMenu.Item
              // biome-ignore lint/suspicious/noArrayIndexKey: a menu's items do not change places
              key={place}
              disabled={item.disabled}
              onSelect={item.run}
              className={`flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm outline-none data-[highlighted]:bg-sunken data-[disabled]:opacity-50 ${item.danger ? "text-bad" : ""}`}
            >
              {item.title}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
