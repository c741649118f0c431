import { useState } from "react";
import type { Subject } from "./useBench";
import { useRecentEvents } from "./useVocabulary";

/** What a draft is tested on: what was chosen, else the newest event of its type, else nothing. */
export function useSubject(
  type: string,
  wanted: string | undefined,
  go: (next: { event_id?: string }) => void,
): [Subject, (next: Subject) => void] {
  const [chosen, setChosen] = useState<Subject | null>(
    wanted === undefined ? null : { event_id: wanted },
  );
  const [seen, setSeen] = useState(wanted);
  if (wanted !== undefined && wanted !== seen) {
    setSeen(wanted);
    setChosen({ event_id: wanted });
  }
  const { events } = useRecentEvents(type);
  const newest = events?.[0]?.id;
  const subject = chosen ?? (newest ? { event_id: newest } : { payload: "{}", type: "" });
  const choose = (next: Subject) => {
    setChosen(next);
    const event_id = "event_id" in next ? next.event_id : undefined;
    if (event_id !== wanted) go({ event_id });
  };
  return [subject, choose];
}
