import { Link, useNavigate } from "@tanstack/react-router";
import { Status } from "@/components/Badge";
import { Button } from "@/components/Button";
import { type Column, DataTable } from "@/components/DataTable";
import { Card } from "@/components/Page";
import { Empty, Loaded } from "@/components/States";
import { Time } from "@/components/Time";
import { api, type Schemas } from "@/lib/api";
import { type Timeline, textOf } from "./entries";

type Delivery = Schemas["deliveries_DeliveryRow"];
const SHOWN_MAX = 200;

/** What the event sent to the outside, newest first. */
export function DeliveriesTab({
  eventId,
  timeline,
}: {
  eventId: string;
  timeline: Timeline | undefined;
}) {
  const navigate = useNavigate();
  const query = api.useQuery("get", "/deliveries", {
    params: { query: { event_id: eventId, limit: SHOWN_MAX } },
  });
  return (
    <Card flush>
      <Loaded query={query}>
        {({ deliveries, next_cursor: more }) =>
          deliveries.length === 0 ? (
            <Empty title="Nothing was sent">
              No rule that sends a webhook or an e-mail has matched this event.
            </Empty>
          ) : (
            <>
              <DataTable
                label="Deliveries of this event"
                columns={columnsOf(namesOf(timeline))}
                rows={deliveries}
                rowKey={({ id }) => id}
                onOpen={({ id }) => void navigate({ to: "/deliveries/$id", params: { id } })}
                {...(more === null ? { total: deliveries.length } : {})}
              />
              {more !== null && (
                <div className="border-line border-t p-3 text-center">
                  <Button asChild small>
                    <Link to="/deliveries" search={{ event_id: eventId }}>
                      All deliveries of this event
                    </Link>
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

function namesOf(timeline: Timeline | undefined): Map<string, string> {
  const named = (timeline?.entries ?? []).flatMap((entry): [string, string][] => {
    const [id, name] = [textOf(entry, "rule_id"), textOf(entry, "rule_name")];
    return id !== null && name !== null ? [[id, name]] : [];
  });
  return new Map(named);
}

function columnsOf(rules: Map<string, string>): Column<Delivery>[] {
  return [
    { id: "state", title: "State", width: "8.5rem", cell: ({ state }) => <Status of={state} /> },
    {
      id: "to",
      title: "Action and receiver",
      cell: ({ id, kind, destination, action_key: key }) => (
        <Link to="/deliveries/$id" params={{ id }} className="hover:underline" title={destination}>
          {key}: {kind === "email" ? "e-mail" : "webhook"} to {destination}
        </Link>
      ),
    },
    {
      id: "rule",
      title: "Rule",
      from: "md",
      cell: ({ rule_id: id, rule_version: version }) => (
        <>
          {rules.get(id) ?? "A rule"} <span className="text-soft">v{version}</span>
        </>
      ),
    },
    {
      id: "run",
      title: "Run",
      width: "9rem",
      from: "lg",
      cell: ({ replay, replay_scope: scope }) =>
        `${replay === 0 ? "first" : `replay ${replay}`}${scope > 0 ? ", forced" : ""}`,
    },
    {
      id: "attempts",
      title: "Attempts",
      width: "5.5rem",
      align: "right",
      from: "sm",
      cell: ({ attempt_no: attempts }) => attempts,
    },
    {
      id: "last",
      title: "Last answer",
      width: "11rem",
      from: "lg",
      cell: ({ last_status: status, last_error: error, reason }) =>
        [status, error].filter((each) => each !== null).join(" ") || reason || "",
    },
    {
      id: "next",
      title: "Next or done",
      width: "8rem",
      align: "right",
      from: "sm",
      cell: ({ next_attempt_at: next, finished_at: finished }) =>
        next ? <Time at={next} /> : finished ? <Time at={finished} /> : "",
    },
  ];
}
