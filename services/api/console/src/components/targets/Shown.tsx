import { Link } from "@tanstack/react-router";
import { Id } from "@/components/Code";
import { Card, Facts, Updated } from "@/components/Page";
import { Time } from "@/components/Time";
import { count, plural } from "@/lib/format";
import { duration } from "@/lib/time";
import type { Target } from "./form";
import { Standing, StandingSentence } from "./health";

/** How a target stands: the answer of its page. */
export function Health({ target, updatedAt }: { target: Target; updatedAt: number }) {
  const { health } = target;
  const last = health.last_attempt;
  return (
    <Card title="Standing" aside={<Updated at={updatedAt} />}>
      <div className="flex flex-col gap-3 text-sm">
        <div>
          <Standing target={target} />
        </div>
        <p className="text-base">
          <StandingSentence target={target} />
          {last && (
            <>
              {" "}
              <Link
                to="/deliveries/$id"
                params={{ id: last.delivery_id }}
                className="text-accent text-sm hover:underline"
              >
                See that delivery
              </Link>
            </>
          )}
        </p>
        <dl className="grid grid-cols-3 gap-3">
          <Figure
            name="waiting"
            value={`${count(health.pending)}${health.pending_capped ? "+" : ""}`}
          />
          <Figure
            name={`in flight of ${count(target.in_flight_max)}`}
            value={count(health.in_flight)}
          />
          <Figure name="failures in a row" value={count(health.failures)} />
        </dl>
      </div>
    </Card>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex flex-col-reverse">
      <dt className="text-soft text-xs">{name}</dt>
      <dd className="tabular font-semibold text-xl">{value}</dd>
    </div>
  );
}

export function Settings({ target }: { target: Target }) {
  const rate = target.rate_per_second;
  return (
    <Card title="Settings">
      <Facts
        facts={[
          [
            "URL",
            <span key="url" className="break-all">
              {target.url}
            </span>,
          ],
          [
            "Headers",
            target.header_names.length
              ? `${target.header_names.join(", ")} (values are not shown)`
              : "none",
          ],
          ["Timeout", duration(target.timeout_ms)],
          ["Rate", rate === null ? "no limit" : `at most ${rate} per second`],
          ["In flight", `at most ${count(target.in_flight_max)} at a time`],
          ["Secrets", <Secrets key="secrets" target={target} />],
          ["Changed", <Time key="changed" at={target.updated_at} />],
          ["Made", <Time key="made" at={target.created_at} show="exact" />],
          ["Id", <Id key="id" id={target.id} />],
        ]}
      />
    </Card>
  );
}

function Secrets({ target }: { target: Target }) {
  if (target.secrets.length === 0) return <>none: requests cannot be signed</>;
  return (
    <ul>
      {target.secrets.map((secret) => (
        <li key={secret.id}>
          {secret.expires_at === null ? (
            <>
              the present one, made <Time at={secret.created_at} />
            </>
          ) : (
            <>
              an earlier one signs too, until <Time at={secret.expires_at} show="exact" />
            </>
          )}
        </li>
      ))}
      {target.secrets.length > 1 && (
        <li className="text-soft text-xs">
          Each request is signed with {plural(target.secrets.length, "secret")}.
        </li>
      )}
    </ul>
  );
}
