import { Status } from "@/components/Badge";
import { Time } from "@/components/Time";
import type { Schemas } from "@/lib/api";
import { plural } from "@/lib/format";

type Overview = Schemas["Overview"];

/** Who lives, and since when; a service that nobody has heard of is said to be unknown. */
export function Services({ overview }: { overview: Overview }) {
  return (
    <ul className="divide-y divide-line text-sm">
      {overview.services.map((service) => (
        <li key={service.service} className="px-4 py-2.5">
          <div className="flex items-center justify-between gap-3">
            <span className="font-medium">{service.service}</span>
            <Status of={service.state} />
          </div>
          {service.instances.length === 0 && (
            <p className="text-soft text-xs">No sign of one in the last hour.</p>
          )}
          <ul className="flex flex-col gap-0.5 text-soft text-xs">
            {service.instances.map((each) => (
              <li key={each.instance} className="flex flex-wrap justify-between gap-x-3">
                <span className="min-w-0 break-all">
                  {each.instance}
                  {each.state !== "up" && ` (${each.state})`}
                </span>
                <span>
                  {each.shards !== null && `${plural(each.shards, "shard")} · `}
                  {each.partitions !== null && `${plural(each.partitions, "partition")} · `}
                  {each.state === "up" ? "since " : "last seen "}
                  <Time at={each.state === "up" ? (each.since ?? each.seen_at) : each.seen_at} />
                </span>
              </li>
            ))}
          </ul>
        </li>
      ))}
      <li className="px-4 py-2.5">
        <div className="flex items-center justify-between gap-3">
          <span className="font-medium">Postgres</span>
          <Status of={overview.database.state} />
        </div>
        <p className="text-soft text-xs">
          {overview.database.version}
          {overview.database.takes_writes ? "" : ", takes no writes"}
        </p>
      </li>
      <li className="px-4 py-2.5">
        <div className="flex items-center justify-between gap-3">
          <span className="font-medium">Kafka</span>
          <Status of={overview.broker.state} />
        </div>
        <p className="text-soft text-xs">{overview.broker.says}</p>
      </li>
    </ul>
  );
}
