import { type ReactNode, useEffect, useRef } from "react";
import { arrivals } from "@/lib/arrivals";
import { useNow } from "@/lib/time";

/** The frame of a route: its title (also the tab's), what it is for, and what can be done. */
export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Oncely`;
  }, [title]);
  useEffect(() => {
    if (arrivals.takeOne()) heading.current?.focus({ preventScroll: true });
  }, []);
  const actionsBox = useRef<HTMLDivElement>(null);
  const acted = useRef<Element | null>(null);
  useEffect(() => {
    const box = actionsBox.current;
    const note = (event: FocusEvent) => {
      acted.current = event.target instanceof Element ? event.target : null;
    };
    box?.addEventListener("focusin", note);
    return () => box?.removeEventListener("focusin", note);
  }, []);
  // An act may take its own button away: whoever pressed it is led to the title, and not nowhere.
  useEffect(() => {
    const button = acted.current;
    if (button === null || (button.isConnected && !button.matches(":disabled"))) return;
    acted.current = null;
    // One that was just disabled still counts as focused, and loses it a moment later.
    const active = document.activeElement;
    if (active === document.body || active === button)
      heading.current?.focus({ preventScroll: true });
  });
  return (
    <div className="mx-auto flex w-full max-w-[1400px] flex-col gap-5 px-4 py-5 sm:px-6">
      <header className="flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div className="min-w-0">
          <h1
            ref={heading}
            tabIndex={-1}
            className="break-words font-semibold text-2xl tracking-tight outline-none"
          >
            {title}
          </h1>
          {lead && <div className="mt-0.5 max-w-3xl text-soft text-sm">{lead}</div>}
        </div>
        <div ref={actionsBox} className="flex flex-wrap items-center gap-2 empty:hidden">
          {actions}
        </div>
      </header>
      {children}
    </div>
  );
}

/** A titled area of a page. */
export function Card({
  title,
  aside,
  children,
  flush,
  className = "",
}: {
  title?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  /** Without inner space: for tables and lists that reach the edge. */
  flush?: boolean;
  className?: string;
}) {
  return (
    <section className={`min-w-0 rounded-lg border border-line bg-card ${className}`}>
      {(title || aside) && (
        <div className="flex flex-wrap items-center justify-between gap-2 border-line border-b px-4 py-2.5">
          {title && <h2 className="font-medium text-sm">{title}</h2>}
          {aside && (
            <div className="flex flex-wrap items-center gap-2 text-soft text-sm">{aside}</div>
          )}
        </div>
      )}
      <div className={flush ? "" : "p-4"}>{children}</div>
    </section>
  );
}

/** "updated 3 s ago", so that a number that stands still is not taken for a quiet system. */
export function Updated({ at }: { at: number }) {
  const now = useNow();
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (at === 0) return null;
  return (
    <span className="tabular text-soft text-xs">
      updated {seconds < 2 ? "now" : `${seconds} s ago`}
    </span>
  );
}

/** Names and values. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-4 gap-y-1.5 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-soft">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
