import { Ban, CircleCheck, CircleX } from "lucide-react";
import { Badge } from "@/components/Badge";
import { Json } from "@/components/Code";
import type { Schemas } from "@/lib/api";
import { inWords } from "./summary";
import { gave, type TraceNode, traceTree } from "./trace";

type Evaluated = Schemas["Evaluation"];
const NODES_OPEN = 40;

/** Matched, not matched or failed: three outcomes, and a failure is never "no match". */
export function Outcome({ of }: { of: Evaluated["outcome"] }) {
  if (of === "matched")
    return (
      <Badge tone="ok">
        <CircleCheck aria-hidden className="size-3.5" /> matched
      </Badge>
    );
  if (of === "failed")
    return (
      <Badge tone="bad">
        <CircleX aria-hidden className="size-3.5" /> failed
      </Badge>
    );
  return (
    <Badge>
      <Ban aria-hidden className="size-3.5" /> not matched
    </Badge>
  );
}

/** What a condition says of one event, why, and what it would do. */
export function EvaluationView({
  evaluation,
  condition,
  eventType,
}: {
  evaluation: Evaluated;
  condition: unknown;
  eventType: string;
}) {
  const { outcome, why, error, missing, actions } = evaluation;
  return (
    <div className="flex min-w-0 flex-col gap-4 text-sm">
      <div className="flex flex-col gap-1.5">
        <div className="flex flex-wrap items-center gap-2">
          <Outcome of={outcome} />
          <span className="tabular text-soft text-xs">{evaluation.duration_us} µs</span>
        </div>
        <p className="break-words">{why}</p>
        {evaluation.type_matches === false && (
          <p className="rounded-md bg-warn-tint px-3 py-2 text-warn">
            The rule does not look at events of type <code className="font-mono">{eventType}</code>:
            on this one nothing would happen.
          </p>
        )}
        {error && (
          <p className="break-words text-bad">
            {error.class}: {error.message}
            {error.pointer ? (
              <>
                {" "}
                at <code className="font-mono">{error.pointer}</code>
              </>
            ) : null}
          </p>
        )}
        {missing.length > 0 && (
          <p className="break-words text-warn">
            The event has no <code className="font-mono">{missing.join(", ")}</code>.
          </p>
        )}
      </div>
      <Trace evaluation={evaluation} condition={condition} />
      {outcome === "matched" && <Rendered actions={actions} />}
    </div>
  );
}

function Trace({ evaluation, condition }: { evaluation: Evaluated; condition: unknown }) {
  const tree = traceTree(condition, evaluation.trace);
  if (tree.length === 0) return null;
  return (
    <details open={evaluation.trace.length <= NODES_OPEN}>
      <summary className="cursor-pointer font-medium text-[13px]">Node by node</summary>
      <ul aria-label="Node by node" className="mt-1.5 flex flex-col gap-0.5">
        {tree.map((node) => (
          <Branch key={node.pointer} node={node} />
        ))}
      </ul>
      {evaluation.trace_cut_off && (
        <p className="mt-1 text-soft text-xs">The trace is longer than what is shown.</p>
      )}
    </details>
  );
}

function Branch({ node }: { node: TraceNode }) {
  const [first] = node.steps;
  const value = gave(node);
  const tone =
    first === undefined
      ? "text-soft italic"
      : first.error
        ? "text-bad"
        : value === "true"
          ? "text-ok"
          : value === "false"
            ? "text-soft"
            : "text-ink";
  return (
    <li className="min-w-0">
      <div className="flex items-baseline justify-between gap-3 rounded px-1 hover:bg-sunken">
        <code
          className={`min-w-0 break-words font-mono text-[13px] ${first === undefined ? "text-soft" : ""}`}
          title={node.pointer || "/"}
        >
          {node.text}
        </code>
        <span className={`max-w-[55%] break-words text-right font-mono text-[13px] ${tone}`}>
          {value}
        </span>
      </div>
      {node.children.length > 0 && (
        <ul className="ml-2 flex flex-col gap-0.5 border-line border-l pl-2.5">
          {node.children.map((child) => (
            <Branch key={child.pointer} node={child} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Rendered({ actions }: { actions: Evaluated["actions"] }) {
  if (actions.length === 0) return <p className="text-soft">It has no actions to render yet.</p>;
  return (
    <section aria-label="What it would do" className="flex flex-col gap-2">
      <h4 className="font-medium text-[13px]">It would do this; nothing was sent</h4>
      {actions.map((action) => (
        <div key={action.key} className="flex min-w-0 flex-col gap-1">
          <p className="break-words">
            {action.error ? (
              <span className="text-bad">
                {action.type} is impossible: {action.error}
              </span>
            ) : (
              inWords(action)
            )}
          </p>
          {!action.error && Object.keys(action.params).length > 0 && (
            <Json value={action.params} label={`Rendered action ${action.key}`} />
          )}
        </div>
      ))}
    </section>
  );
}
