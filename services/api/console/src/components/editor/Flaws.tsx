import { CircleX } from "lucide-react";
import type { Mark } from "./tree";

/** What is wrong, line by line; each leads to its place in the text. */
export function Flaws({
  label,
  marks,
  jump,
}: {
  label: string;
  marks: Mark[];
  jump: (mark: Mark) => void;
}) {
  return (
    <ul aria-label={`What is wrong: ${label}`} aria-live="polite" className="mt-1 flex flex-col">
      {marks.map((mark) => (
        <li key={`${mark.from} ${mark.to} ${mark.message}`}>
          <button
            type="button"
            onClick={() => jump(mark)}
            className="flex w-full items-start gap-1.5 rounded px-1 py-0.5 text-left text-[13px] text-bad hover:bg-bad-tint"
          >
            <CircleX aria-hidden className="mt-0.5 size-3.5 shrink-0" />
            <span className="min-w-0 break-words">
              <span className="font-medium">Line {mark.line}:</span> {mark.message}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
