import { Field, Input, Select } from "@/components/Fields";
import { needsConfirm, type Plan, TIMES } from "./plan";

/** Whom a fault meets and how long it lives. */
export function Scope({
  plan,
  change,
  errors,
}: {
  plan: Plan;
  change: (plan: Plan) => void;
  errors: Map<string, string>;
}) {
  const set = (part: Partial<Plan>) => change({ ...plan, ...part });
  return (
    <div className="grid gap-3 border-line border-t bg-sunken px-4 py-3 sm:grid-cols-2 xl:grid-cols-3">
      <Field label="Ends by itself after" error={errors.get("/ttl_s")}>
        {(props) => (
          <Select
            {...props}
            value={plan.ttl}
            onChange={(event) => set({ ttl: event.target.value })}
          >
            {TIMES.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="Share that is hit, %" error={errors.get("/match/percent")}>
        {(props) => (
          <Input
            {...props}
            type="number"
            min={1}
            max={100}
            value={plan.percent}
            onChange={(event) => set({ percent: event.target.value })}
          />
        )}
      </Field>
      <Field
        label="Only this event type"
        hint="Not for breakWorker and breakConsumer."
        error={errors.get("/match/event_type")}
      >
        {(props) => (
          <Input
            {...props}
            value={plan.eventType}
            placeholder="any"
            onChange={(event) => set({ eventType: event.target.value.trim() })}
          />
        )}
      </Field>
      <Field label="Only the first" hint="Orders or events." error={errors.get("/match/first_n")}>
        {(props) => (
          <Input
            {...props}
            type="number"
            min={1}
            value={plan.firstN}
            placeholder="no limit"
            onChange={(event) => set({ firstN: event.target.value })}
          />
        )}
      </Field>
      <Field label="Hits at most" error={errors.get("/max_hits")}>
        {(props) => (
          <Input
            {...props}
            type="number"
            min={1}
            value={plan.maxHits}
            placeholder="no limit"
            onChange={(event) => set({ maxHits: event.target.value })}
          />
        )}
      </Field>
      {needsConfirm(plan) && (
        <label className="flex items-start gap-2 self-end text-sm">
          <input
            type="checkbox"
            className="mt-1 size-4 accent-[var(--accent)]"
            checked={plan.confirm}
            onChange={(event) => set({ confirm: event.target.checked })}
          />
          <span>Yes, a whole service may end or freeze until somebody starts it again</span>
        </label>
      )}
    </div>
  );
}
