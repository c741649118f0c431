import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Moon, Plus, Search, Sun } from "lucide-react";
import { Dialog as RadixDialog } from "radix-ui";
import { type ReactNode, useEffect, useState } from "react";
import { api } from "@/lib/api";
import { PLACES } from "@/lib/nav";
import { setPrefs } from "@/lib/prefs";
import { useMay } from "@/lib/session";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const FOUND_MAX = 6;
const PAUSE_MS = 200;
const CHARACTERS_MIN = 2;

/** Ctrl-K: every place and act, and whatever has the typed name. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const navigate = useNavigate();
  const asked = text.trim();
  const { rules, events, isWaiting, failed } = useFound(asked);
  const mayWriteRules = useMay("rules:write");
  const go = (run: () => unknown) => () => {
    onClose();
    run();
  };
  return (
    <RadixDialog.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <RadixDialog.Content
          aria-describedby={undefined}
          className="fixed top-[12dvh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border border-line bg-card shadow-float"
        >
          <RadixDialog.Title className="sr-only">Go to, find, do</RadixDialog.Title>
          <Command label="Go to, find, do" loop>
            <div className="flex items-center gap-2 border-line border-b px-4">
              <Search aria-hidden className="size-4 text-soft" />
              <Command.Input
                autoFocus
                value={text}
                onValueChange={setText}
                placeholder="A page, an event's id, a rule, or what to do"
                className="h-12 w-full bg-transparent text-sm outline-none placeholder:text-soft"
              />
            </div>
            <Command.List className="max-h-[60dvh] overflow-y-auto p-2">
              {!isWaiting && failed.length === 0 && (
                <Command.Empty className="px-3 py-6 text-center text-soft text-sm">
                  Nothing has this name.
                </Command.Empty>
              )}
              {UUID.test(asked) && (
                <Group title="By id">
                  <Row
                    value={`${asked} event`}
                    onSelect={go(() => navigate({ to: "/events/$id", params: { id: asked } }))}
                  >
                    Open event {asked}
                  </Row>
                  <Row
                    value={`${asked} delivery`}
                    onSelect={go(() => navigate({ to: "/deliveries/$id", params: { id: asked } }))}
                  >
                    Open delivery {asked}
                  </Row>
                </Group>
              )}
              <Group title="Go to">
                {PLACES.map(({ to, title, icon: Icon, keys }) => (
                  <Row key={to} value={title} onSelect={go(() => navigate({ to }))}>
                    <Icon aria-hidden className="size-4" /> {title}
                    <kbd className="ml-auto font-sans text-soft text-xs">{keys}</kbd>
                  </Row>
                ))}
              </Group>
              <Group title="Do">
                {mayWriteRules && (
                  <Row value="make a rule" onSelect={go(() => navigate({ to: "/rules/new" }))}>
                    <Plus aria-hidden className="size-4" /> Make a rule
                  </Row>
                )}
                <Row value="theme dark" onSelect={go(() => setPrefs({ theme: "dark" }))}>
                  <Moon aria-hidden className="size-4" /> Dark theme
                </Row>
                <Row value="theme light" onSelect={go(() => setPrefs({ theme: "light" }))}>
                  <Sun aria-hidden className="size-4" /> Light theme
                </Row>
              </Group>
              {rules.length > 0 && (
                <Group title="Rules">
                  {rules.map((rule) => (
                    <Row
                      key={rule.id}
                      value={`${asked} rule ${rule.name} ${rule.id}`}
                      onSelect={go(() => navigate({ to: "/rules/$id", params: { id: rule.id } }))}
                    >
                      {rule.name}
                    </Row>
                  ))}
                </Group>
              )}
              {events.length > 0 && (
                <Group title="Events">
                  {events.map((event) => (
                    <Row
                      key={event.id}
                      value={`${asked} event ${event.id}`}
                      onSelect={go(() => navigate({ to: "/events/$id", params: { id: event.id } }))}
                    >
                      <span className="truncate">{event.type}</span>
                      <span className="ml-auto truncate font-mono text-soft text-xs">
                        {event.external_id}
                      </span>
                    </Row>
                  ))}
                </Group>
              )}
            </Command.List>
            <div role="status" className="text-sm">
              {isWaiting && <p className="px-5 pb-3 text-soft">Looking for rules and events…</p>}
              {failed.map((why) => (
                <p key={why} className="px-5 pb-3 text-bad">
                  {why}
                </p>
              ))}
            </div>
          </Command>
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** Rules and events with the typed name, asked for once the typing has paused. */
function useFound(asked: string) {
  const [settled, setSettled] = useState("");
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(asked), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [asked]);
  const mayReadRules = useMay("rules:read");
  const mayReadEvents = useMay("events:read");
  const isLong = asked.length >= CHARACTERS_MIN;
  const isSettled = isLong && settled === asked;
  const params = { query: { q: settled, limit: FOUND_MAX } };
  const rules = api.useQuery("get", "/rules", { params }, { enabled: isSettled && mayReadRules });
  const events = api.useQuery(
    "get",
    "/events",
    { params },
    { enabled: isSettled && mayReadEvents },
  );
  const failed = [
    ...(isSettled && rules.error ? [`Rules could not be searched: ${rules.error.detail}`] : []),
    ...(isSettled && events.error ? [`Events could not be searched: ${events.error.detail}`] : []),
  ];
  return {
    rules: (isSettled && rules.data?.rules) || [],
    events: (isSettled && events.data?.events) || [],
    isWaiting: isLong && (!isSettled || rules.isLoading || events.isLoading),
    failed,
  };
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={title}
      className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-soft [&_[cmdk-group-heading]]:text-xs"
    >
      {children}
    </Command.Group>
  );
}

function Row({
  value,
  onSelect,
  children,
}: {
  value: string;
  onSelect: () => void;
  children: ReactNode;
}) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex cursor-pointer items-center gap-2 rounded-md px-2 py-2 text-sm data-[selected=true]:bg-accent-tint"
    >
      {children}
    </Command.Item>
  );
}
