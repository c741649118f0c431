import { Link } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api } from "@/lib/api";
import { useLiveRefetch } from "@/lib/live";

const SHOWN = 8;

/** The newest events, so that the first one is seen without looking for it. */
export function Recent() {
  const events = api.useQuery(
    "get",
    "/events",
    { params: { query: { limit: SHOWN } } },
    { refetchInterval: 15_000 },
  );
  useLiveRefetch({ kinds: ["event"] }, () => events.refetch({ cancelRefetch: false }));
  return (
    <Card
      title="Newest events"
      flush
      aside={
        <Link to="/events" className="text-accent underline underline-offset-2">
          All events
        </Link>
      }
    >
      <Loaded query={events}>
        {(page) =>
          page.events.length === 0 ? (
            <Empty title="No event yet">Send a test event, or POST one to /events.</Empty>
          ) : (
            <ul className="divide-y divide-line text-sm">
              {page.events.map((event) => (
                <li key={event.id} className="flex items-center gap-3 px-4 py-2">
                  <span className="min-w-0 flex-1">
                    <Link
                      to="/events/$id"
                      params={{ id: event.id }}
                      className="block truncate font-medium hover:underline"
                    >
                      {event.type}
                    </Link>
                    <span className="block truncate font-mono text-soft text-xs">
                      {event.external_id}
                    </span>
                  </span>
                  <Status of={event.status} />
                  <span className="w-16 text-right text-soft text-xs">
                    <Time at={event.received_at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
