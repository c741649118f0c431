import { Tabs as RadixTabs } from "radix-ui";
import type { ReactNode } from "react";

export type Tab = {
  id: string;
  title: ReactNode;
  content: ReactNode;
  /** Stays as it is while another tab is in view: somebody writes in it. */
  keep?: boolean;
};

/** Tabs whose choice belongs to the caller, so that it can stand in the address. */
export function Tabs({
  tabs,
  value,
  onChange,
  label,
}: {
  tabs: Tab[];
  value: string;
  onChange: (id: string) => void;
  label: string;
}) {
  return (
    <RadixTabs.Root value={value} onValueChange={onChange} className="flex min-w-0 flex-col gap-4">
      <RadixTabs.List
        aria-label={label}
        className="flex gap-1 overflow-x-auto border-line border-b"
      >
        {tabs.map((tab) => (
          <RadixTabs.Trigger
            key={tab.id}
            value={tab.id}
            className="-mb-px focus-visible:-outline-offset-2 whitespace-nowrap border-transparent border-b-2 px-3 py-2 text-soft text-sm hover:text-ink data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink"
          >
            {tab.title}
          </RadixTabs.Trigger>
        ))}
      </RadixTabs.List>
      {tabs.map((tab) => (
        <RadixTabs.Content
          key={tab.id}
          value={tab.id}
          {...(tab.keep ? { forceMount: true, hidden: tab.id !== value } : {})}
          className="min-w-0 outline-offset-4"
        >
          {tab.content}
        </RadixTabs.Content>
      ))}
    </RadixTabs.Root>
  );
}
