import { useQuery } from "@tanstack/react-query";
import { Select } from "@/components/Fields";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { previewOf } from "./forecast";

const VERSIONS_MAX = 50;

/** Which rules run, and in which version. What is not chosen does not run. */
export function Pinned({
  eventId,
  versions,
  onChange,
  error,
}: {
  eventId: string;
  versions: Record<string, number>;
  onChange: (versions: Record<string, number>) => void;
  error?: string;
}) {
  const query = useRulesThatLook(eventId);
  return (
    <fieldset className="flex flex-col gap-2 rounded-md border border-line p-3">
      <legend className="px-1 font-medium text-[13px]">Rules and versions</legend>
      <Loaded query={query} rows={2}>
        {(rules) =>
          rules.length === 0 ? (
            <p className="text-soft text-sm">No rule in force looks at this type.</p>
          ) : (
            <ul className="flex max-h-48 flex-col gap-1.5 overflow-y-auto">
              {rules.map(({ rule_id: id, name, version }) => (
                <li key={id} className="flex items-center gap-2 text-sm">
                  <label className="flex min-w-0 flex-1 cursor-pointer items-center gap-2">
                    <input
                      type="checkbox"
                      className="size-4 accent-[var(--accent)]"
                      checked={id in versions}
                      onChange={({ target }) => {
                        const { [id]: _, ...others } = versions;
                        onChange(target.checked ? { ...versions, [id]: version } : others);
                      }}
                    />
                    <span className="min-w-0 truncate" title={name}>
                      {name}
                    </span>
                  </label>
                  {id in versions && (
                    <Version
                      ruleId={id}
                      name={name}
                      value={versions[id] ?? version}
                      onChange={(chosen) => onChange({ ...versions, [id]: chosen })}
                    />
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {error && <p className="text-bad text-xs">{error}</p>}
    </fieldset>
  );
}

function Version({
  ruleId,
  name,
  value,
  onChange,
}: {
  ruleId: string;
  name: string;
  value: number;
  onChange: (version: number) => void;
}) {
  const { data } = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { path: { rule_id: ruleId }, query: { limit: VERSIONS_MAX } },
  });
  const versions = data?.versions ?? [{ version: value, state: "" }];
  return (
    <Select
      aria-label={`Version of ${name}`}
      className="w-40! shrink-0"
      value={value}
      onChange={({ target }) => onChange(Number(target.value))}
    >
      {versions.map(({ version, state }) => (
        <option key={version} value={version}>
          v{version} {state}
        </option>
      ))}
    </Select>
  );
}

/** Those that would run now: the preview names them. */
function useRulesThatLook(eventId: string) {
  return useQuery({
    queryKey: ["rules that look", eventId],
    queryFn: async ({ signal }) => (await previewOf(eventId, "current", null, signal)).rules,
  });
}
