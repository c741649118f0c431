import { useQuery } from "@tanstack/react-query";
import { gave, type TraceNode, traceTree } from "@/components/rules/trace";
import { Loaded } from "@/components/States";
import { testRule } from "./forecast";

/** How a version came to what it said, node by node. It never changes, so it is evaluated again. */
export function Trace({
  ruleId,
  version,
  eventId,
}: {
  ruleId: string;
  version: number;
  eventId: string;
}) {
  const query = useQuery({
    queryKey: ["trace", ruleId, version, eventId],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => testRule({ rule_id: ruleId, version, event_id: eventId }, signal),
  });
  return (
    <Loaded query={query} rows={3}>
      {(test) => {
        const whole = test.trace.find(({ pointer }) => pointer === "")?.expression;
        const nodes = traceTree(whole, test.trace);
        return (
          <div className="mt-1 overflow-x-auto rounded-md border border-line bg-sunken p-3">
            {nodes.length === 0 ? (
              <p className="text-soft">{test.error?.message ?? test.why}</p>
            ) : (
              <Nodes nodes={nodes} />
            )}
            {test.missing.length > 0 && (
              <p className="mt-2 text-soft text-xs">
                The event does not have: {test.missing.join(", ")}.
              </p>
            )}
            {test.trace_cut_off && <p className="mt-2 text-soft text-xs">The steps are cut off.</p>}
            <p className="mt-2 text-soft text-xs">
              Evaluated again on the event's own payload, by {test.engine} {test.engine_version}.
            </p>
          </div>
        );
      }}
    </Loaded>
  );
}

function Nodes({ nodes }: { nodes: TraceNode[] }) {
  return (
    <ul className="flex flex-col gap-1 [&_ul]:mt-1 [&_ul]:border-line [&_ul]:border-l [&_ul]:pl-4">
      {nodes.map((node) => (
        <li key={node.pointer} className="text-[13px]">
          <span className="break-words font-mono">{node.text}</span>{" "}
          <span className="text-soft">gave</span>{" "}
          <span className={`break-words font-mono ${toneOf(node)}`}>{gave(node)}</span>
          {node.children.length > 0 && <Nodes nodes={node.children} />}
        </li>
      ))}
    </ul>
  );
}

function toneOf({ steps }: TraceNode): string {
  if (steps.length === 0) return "text-soft";
  return steps.some(({ error }) => error) ? "font-medium text-bad" : "font-medium text-ink";
}
