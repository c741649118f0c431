import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Id } from "@/components/Code";
import { Facts } from "@/components/Page";
import { Time } from "@/components/Time";
import { bytes, count, shortId } from "@/lib/format";
import type { Letter } from "./words";

const LINK = "text-accent hover:underline";

/** Where it comes from and what is known of it. */
export function LetterFacts({ letter }: { letter: Letter }) {
  const facts: [string, ReactNode][] = [];
  const add = (name: string, value: ReactNode) => facts.push([name, value]);
  if (letter.delivery_id)
    add(
      "Delivery",
      <Link to="/deliveries/$id" params={{ id: letter.delivery_id }} className={LINK}>
        {shortId(letter.delivery_id)}, its request and attempts
      </Link>,
    );
  if (letter.event_id)
    add(
      "Event",
      <Link to="/events/$id" params={{ id: letter.event_id }} className={LINK}>
        {letter.event_type} {shortId(letter.event_id)}
        {letter.replay ? `, replay ${letter.replay}` : ""}
      </Link>,
    );
  if (letter.topic) add("Topic", letter.topic);
  if (letter.kafka_partition !== null)
    add("Place", `partition ${letter.kafka_partition}, offset ${letter.kafka_offset}`);
  if (letter.kafka_key !== null)
    add("Key", <span className="break-all">{letter.kafka_key || "(empty)"}</span>);
  if (letter.outbox_id !== null) add("Outbox row", count(letter.outbox_id));
  add("Attempts", count(letter.attempts));
  if (letter.payload_bytes > 0) add("Payload", bytes(letter.payload_bytes));
  add("Since", <Time at={letter.created_at} show="exact" />);
  if (letter.resolved_at) add("Resolved", <Time at={letter.resolved_at} show="exact" />);
  if (letter.resolution_reason) add("Reason", letter.resolution_reason);
  add("Id", <Id id={letter.id} />);
  return <Facts facts={facts} />;
}
