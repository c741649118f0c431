import { JsonDiff } from "@/components/editor/JsonEditor";
import { Field, Select } from "@/components/Fields";
import { Card } from "@/components/Page";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import type { RuleVersion, RuleView } from "./calls";
import { textOf } from "./draft";

type Search = { version?: string; to?: string };

/** What one version says differently from another: as text, and place by place. */
export function VersionDiff({
  rule,
  versions,
  search,
  go,
}: {
  rule: RuleView;
  versions: RuleVersion[];
  search: Search;
  go: (search: Search) => void;
}) {
  const numbers = versions.map(({ version }) => version);
  const to = pickOf(search.to, numbers) ?? numbers[0] ?? 1;
  const live = rule.published?.version;
  const from =
    pickOf(search.version, numbers) ??
    (live !== undefined && live !== to ? live : undefined) ??
    numbers.find((number) => number !== to) ??
    to;
  const before = versions.find((each) => each.version === from);
  const after = versions.find((each) => each.version === to);
  return (
    <Card title="Difference">
      <div className="flex flex-col gap-4">
        <div className="grid max-w-xl grid-cols-2 gap-3">
          <Choose
            label="From"
            value={from}
            versions={versions}
            onChange={(version) => go({ ...search, version })}
          />
          <Choose
            label="To"
            value={to}
            versions={versions}
            onChange={(next) => go({ ...search, to: next })}
          />
        </div>
        {before && after && (
          <JsonDiff
            label={`Version ${to} against version ${from}`}
            before={textOf(before)}
            after={textOf(after)}
          />
        )}
        {from !== to && <Places id={rule.id} from={from} to={to} />}
      </div>
    </Card>
  );
}

function pickOf(text: string | undefined, numbers: number[]): number | undefined {
  return numbers.find((number) => String(number) === text);
}

function Choose({
  label,
  value,
  versions,
  onChange,
}: {
  label: string;
  value: number;
  versions: RuleVersion[];
  onChange: (version: string) => void;
}) {
  return (
    <Field label={label}>
      {(props) => (
        <Select {...props} value={value} onChange={(event) => onChange(event.target.value)}>
          {versions.map(({ version, state }) => (
            <option key={version} value={version}>
              Version {version}, {state}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}

/** The api's own list: exact, also where 1 became 1.0. */
function Places({ id, from, to }: { id: string; from: number; to: number }) {
  const query = api.useQuery("get", "/rules/{rule_id}/versions/{version}/diff", {
    params: { path: { rule_id: id, version: from }, query: { to } },
  });
  return (
    <details>
      <summary className="cursor-pointer text-sm text-soft hover:text-ink">Place by place</summary>
      <Loaded query={query} rows={2}>
        {({ changes, cut_off: cutOff }) => (
          <ul className="mt-2 flex flex-col gap-1.5 text-sm">
            {changes.map((change) => (
              <li key={change.pointer} className="break-words">
                <code className="font-mono text-[13px]">{change.pointer}</code>{" "}
                <span className="text-soft">{change.kind}</span>
                {"before" in change && <Value text="was" value={change.before} />}
                {"after" in change && <Value text="is" value={change.after} />}
              </li>
            ))}
            {changes.length === 0 && <li className="text-soft">No difference in what they say.</li>}
            {cutOff && <li className="text-warn">There are more than are listed.</li>}
          </ul>
        )}
      </Loaded>
    </details>
  );
}

function Value({ text, value }: { text: string; value: unknown }) {
  return (
    <span className="block pl-4">
      <span className="text-soft">{text}</span>{" "}
      <code className="font-mono text-[13px]">{JSON.stringify(value)}</code>
    </span>
  );
}
