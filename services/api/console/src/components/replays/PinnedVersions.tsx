import { Trash2 } from "lucide-react";
import { useState } from "react";
import { IconButton } from "@/components/Button";
import { Field, Input, Select } from "@/components/Fields";
import { Failed } from "@/components/States";
import { api } from "@/lib/api";

const SHOWN = 20;
const VERSIONS = 200;

type Props = {
  versions: Record<string, number>;
  onChange: (versions: Record<string, number>) => void;
};

/** Which rules are evaluated, each in which version. */
export function PinnedVersions({ versions, onChange }: Props) {
  const [text, setText] = useState("");
  const asked = text.trim();
  const rules = api.useQuery("get", "/rules", {
    params: { query: { limit: SHOWN, ...(asked.length >= 2 ? { q: asked } : {}) } },
  });
  const rest = (rules.data?.rules ?? []).filter((rule) => !(rule.id in versions));
  return (
    <div className="flex flex-col gap-3 rounded-md border border-line p-3">
      {Object.entries(versions).map(([id, version]) => (
        <Pinned
          key={id}
          id={id}
          version={version}
          onChange={(next) => onChange({ ...versions, [id]: next })}
          onRemove={() =>
            onChange(Object.fromEntries(Object.entries(versions).filter(([other]) => other !== id)))
          }
        />
      ))}
      <Field label="Find a rule" hint="At least two characters of its name.">
        {(props) => (
          <Input {...props} value={text} onChange={(event) => setText(event.target.value)} />
        )}
      </Field>
      {rules.error ? <Failed error={rules.error} retry={() => rules.refetch()} /> : null}
      <Field label="Add a rule">
        {(props) => (
          <Select
            {...props}
            value=""
            onChange={(event) => {
              const rule = rest.find((each) => each.id === event.target.value);
              if (rule)
                onChange({ ...versions, [rule.id]: rule.published_version ?? rule.version });
            }}
          >
            <option value="">{rest.length === 0 ? "no rule is found" : "choose a rule"}</option>
            {rest.map((rule) => (
              <option key={rule.id} value={rule.id}>
                {rule.name}
              </option>
            ))}
          </Select>
        )}
      </Field>
    </div>
  );
}

function Pinned({
  id,
  version,
  onChange,
  onRemove,
}: {
  id: string;
  version: number;
  onChange: (version: number) => void;
  onRemove: () => void;
}) {
  const path = { params: { path: { rule_id: id } } };
  const rule = api.useQuery("get", "/rules/{rule_id}", path);
  const known = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { ...path.params, query: { limit: VERSIONS } },
  });
  const name = rule.data?.name ?? id;
  return (
    <div className="flex items-end gap-2">
      <Field label={name} className="flex-1">
        {(props) => (
          <Select
            {...props}
            value={version}
            onChange={(event) => onChange(Number(event.target.value))}
          >
            {(known.data?.versions ?? []).map((each) => (
              <option key={each.version} value={each.version}>
                version {each.version}, {each.state}
              </option>
            ))}
            {known.data === undefined && <option value={version}>version {version}</option>}
          </Select>
        )}
      </Field>
      <IconButton label={`Leave out ${name}`} onClick={onRemove}>
        <Trash2 aria-hidden className="size-4" />
      </IconButton>
    </div>
  );
}
