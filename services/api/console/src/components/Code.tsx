import { Check, Copy } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { canCopy, copyText } from "@/lib/clipboard";
import { stringify } from "@/lib/json";
import { IconButton } from "./Button";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON with its parts told apart. Keys, texts and the rest differ in more than their colour's hue. */
export function Json({ value, label = "JSON" }: { value: unknown; label?: string }) {
  const text = stringify(value, 2);
  return <Code text={text} label={label} colour />;
}

/** Text in a box that scrolls by itself, with its copy button beside it and never over it. */
export function Code({ text, label, colour }: { text: string; label: string; colour?: boolean }) {
  const shown = legible(text);
  return (
    <div className="flex min-w-0 items-start rounded-md border border-line bg-sunken">
      <section
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        className="max-h-[28rem] min-w-0 flex-1 overflow-auto p-3"
      >
        <pre className="font-mono text-[13px] leading-5">{colour ? paint(shown) : shown}</pre>
      </section>
      <div className="shrink-0 p-1">
        <CopyButton text={text} label={`Copy ${label}`} />
      </div>
    </div>
  );
}

/** Characters that turn or hide the text around them are shown as their escapes. */
export function legible(text: string): string {
  return text.replace(
    /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function paint(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    const [whole, string, colon] = match;
    const look = string && colon ? "text-info" : string ? "text-ok" : "text-warn";
    parts.push(
      <span key={match.index} className={look}>
        {string && colon ? string : whole}
      </span>,
    );
    if (string && colon) parts.push(colon);
    end = match.index + whole.length;
  }
  parts.push(text.slice(end));
  return parts;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 1_500);
    return () => window.clearTimeout(timer);
  }, [copied]);
  if (!canCopy()) return null;
  const copy = () =>
    copyText(text).then(
      () => setCopied(true),
      () => {},
    );
  return (
    <IconButton small label={copied ? "Copied" : label} onClick={copy}>
      {copied ? (
        <Check aria-hidden className="size-4 text-ok" />
      ) : (
        <Copy aria-hidden className="size-4" />
      )}
    </IconButton>
  );
}

/** An id that can be copied whole, shown short. */
export function Id({ id, short = id }: { id: string; short?: string }) {
  return (
    <span className="inline-flex max-w-full items-center gap-0.5">
      <code className="truncate font-mono text-[13px]" title={id}>
        {short}
      </code>
      <CopyButton text={id} label="Copy id" />
    </span>
  );
}
