import { Field, Select } from "@/components/Fields";
import { api } from "@/lib/api";
import type { RuleView } from "./calls";

const MOST = 200;

/** The version that an edit begins from. Another one would replace the text, so not while there is some. */
export function StartFrom({
  rule,
  version,
  dirty,
  onChange,
}: {
  rule: RuleView;
  version: number;
  dirty: boolean;
  onChange: (version: string) => void;
}) {
  const query = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { path: { rule_id: rule.id }, query: { limit: MOST } },
  });
  const versions = query.data?.versions ?? [];
  const cut = query.data?.next_cursor ? `The newest ${MOST} versions are offered.` : undefined;
  return (
    <Field
      label="Begin from"
      className="max-w-md"
      hint={dirty ? "Save or undo your text first: another version would replace it." : cut}
    >
      {(props) => (
        <Select
          {...props}
          disabled={dirty}
          value={version}
          onChange={(event) => onChange(event.target.value)}
        >
          {!versions.some((each) => each.version === version) && (
            <option value={version}>Version {version}</option>
          )}
          {versions.map((each) => (
            <option key={each.version} value={each.version}>
              Version {each.version}, {each.state}
              {each.note ? `: ${each.note.slice(0, 60)}` : ""}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}
