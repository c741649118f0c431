import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import type { Column } from "@/components/DataTable";
import { Time } from "@/components/Time";
import { type Letter, STUCK, stageOf } from "./words";

export const COLUMNS: Column<Letter>[] = [
  {
    id: "what",
    title: "What happened",
    cell: (letter) => (
      <div className="min-w-0">
        <Link
          to="/dead-letters"
          search={(before) => ({ ...before, letter: letter.id })}
          resetScroll={false}
          className="block truncate font-medium hover:underline"
          title={letter.error_message}
        >
          {letter.error_class}: {letter.error_message}
        </Link>
        <span className="block truncate text-soft text-xs">
          {STUCK[stageOf(letter)]} · {letter.event_type ?? placeOf(letter)}
        </span>
      </div>
    ),
  },
  {
    id: "state",
    title: "State",
    width: "10.5rem",
    from: "sm",
    cell: (letter) => <Status of={letter.state} />,
  },
  {
    id: "key",
    title: "Key",
    width: "12rem",
    from: "lg",
    cell: (letter) => (
      <span className="text-soft" title={letter.kafka_key ?? undefined}>
        {letter.kafka_key ?? "–"}
      </span>
    ),
  },
  {
    id: "attempts",
    title: "Attempts",
    width: "6rem",
    align: "right",
    from: "md",
    cell: (letter) => letter.attempts,
  },
  {
    id: "created",
    title: "Since",
    width: "6rem",
    align: "right",
    cell: (letter) => <Time at={letter.created_at} />,
  },
];

/** Where in Kafka, as far as it is known. */
export function placeOf(letter: Letter): string {
  if (letter.topic === null) return "no topic";
  if (letter.kafka_partition === null) return letter.topic;
  return `${letter.topic}, partition ${letter.kafka_partition}, offset ${letter.kafka_offset}`;
}
