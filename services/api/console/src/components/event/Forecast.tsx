import { Loaded } from "@/components/States";
import { count, plural } from "@/lib/format";
import { type Act, type Effects, forecastOf, type Mode, saidBefore } from "./forecast";
import { type Looked, TESTED_MAX, type useForecast } from "./useForecast";

const FATES: Record<Act["fate"], string> = {
  sent: "is sent for the first time",
  again: "exists, is sent again",
  "not again": "exists, is not sent again",
  "not sent": "is not sent",
};

/** What will happen, before anything is pressed. */
export function Forecast({
  query,
  mode,
  effects,
  waits,
}: {
  query: ReturnType<typeof useForecast>;
  mode: Mode;
  effects: Effects;
  /** Nothing can be said yet: no version is chosen, or the payload is not here. */
  waits: boolean;
}) {
  return (
    <section
      aria-label="What will happen"
      className="rounded-md border border-line bg-sunken text-sm"
    >
      <p
        className={`px-3 py-2.5 font-medium ${effects === "force" ? "rounded-t-md bg-bad-tint text-bad" : ""}`}
      >
        {saidBefore(mode, effects)}
      </p>
      {!waits && (
        <div className="border-line border-t" aria-busy={query.isFetching}>
          <Loaded query={query} rows={2}>
            {(looked) => <Said looked={looked} effects={effects} />}
          </Loaded>
        </div>
      )}
    </section>
  );
}

function Said({ looked, effects }: { looked: Looked; effects: Effects }) {
  const { rules, tested, preview } = looked;
  const forecast = forecastOf(tested, preview.existing_deliveries, effects);
  const untested = rules.length - tested.length;
  return (
    <div className="flex flex-col gap-2 px-3 py-2.5">
      <p>
        {rules.length === 0 ? (
          "No rule looks at it: it is applied without one."
        ) : tested.length === 0 ? (
          `${plural(rules.length, "rule")} will look at it.`
        ) : (
          <>
            {`${count(forecast.matching)} of ${plural(tested.length, "rule")} that ${tested.length === 1 ? "looks" : "look"} at it ${forecast.matching === 1 ? "matches" : "match"}`}
            {forecast.failing.length > 0 && `, ${forecast.failing.length} cannot be evaluated`}
            {untested > 0 &&
              `; ${count(untested)} more were not tried here (at most ${TESTED_MAX})`}
            .
          </>
        )}
      </p>
      {forecast.acts.length > 0 && (
        <ul aria-label="Deliveries" className="flex flex-col gap-1">
          {forecast.acts.map((act) => (
            <li key={`${act.rule}/${act.key}`} className="flex flex-wrap justify-between gap-x-3">
              <span className="min-w-0 break-words">
                {act.rule}: {act.what}
              </span>
              <span className={act.fate === "again" ? "font-medium text-bad" : "text-soft"}>
                {FATES[act.fate]}
              </span>
            </li>
          ))}
        </ul>
      )}
      {forecast.acts.length === 0 && tested.length > 0 && untested === 0 && (
        <p className="text-soft">None of them sends anything.</p>
      )}
    </div>
  );
}
