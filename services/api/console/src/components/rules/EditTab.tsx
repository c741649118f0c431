import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Field, Select } from "@/components/Fields";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import { Conflict } from "./Conflict";
import { type RuleVersion, type RuleView, replaceRule } from "./calls";
import { type Draft, draftOf, isStale, type State } from "./draft";
import { PublishConfirm } from "./PublishConfirm";
import type { Subject } from "./useBench";
import { useRecentEvents } from "./useVocabulary";
import { Workbench } from "./Workbench";

const SAID: Record<State, string> = {
  published: "Published: it runs for new events now",
  shadow: "In shadow: it acts on nothing",
  draft: "Saved as a draft: it is not evaluated",
};

type Search = { version?: string; event_id?: string };

/** Which version an edit begins from: what was written last of those that count. */
export function startOf(rule: RuleView): number {
  const standing = [rule.published, rule.shadow, rule.draft].filter((each) => each !== null);
  return Math.max(0, ...standing.map(({ version }) => version)) || rule.newest_version;
}

export function EditTab({ rule, search }: { rule: RuleView; search: Search }) {
  const [began] = useState(() => startOf(rule));
  const version = Number(search.version) || began;
  const query = api.useQuery(
    "get",
    "/rules/{rule_id}/versions/{version}",
    { params: { path: { rule_id: rule.id, version } } },
    { staleTime: Number.POSITIVE_INFINITY },
  );
  return (
    <Loaded query={query}>
      {(from) => <Editing key={from.version} rule={rule} from={from} search={search} />}
    </Loaded>
  );
}

function Editing({ rule, from, search }: { rule: RuleView; from: RuleVersion; search: Search }) {
  const may = useMay("rules:write");
  const navigate = useNavigate();
  // What was read when the edit began: a save on top of anything else is refused (412).
  const [base, setBase] = useState({ rule, from });
  const [draft, setDraft] = useState<Draft>(() => draftOf(rule, from));
  const [asked, setAsked] = useState<State | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [refused, setRefused] = useState<State | null>(null);
  const [pasted, setPasted] = useState<Subject | null>(null);
  const { events } = useRecentEvents(from.event_type);
  const eventId = search.event_id ?? events?.[0]?.id;
  const subject = pasted ?? (eventId ? { event_id: eventId } : { payload: "{}", type: "" });

  const go = (next: Record<string, string | undefined>, replace = true) =>
    void navigate({
      to: "/rules/$id",
      params: { id: rule.id },
      search: { tab: "edit", ...search, ...next },
      replace,
    });
  const onSubject = (next: Subject) => {
    const isEvent = "event_id" in next;
    setPasted(isEvent ? null : next);
    go({ event_id: isEvent ? next.event_id : undefined });
  };
  const save = async (state: State, revision = base.rule.revision) => {
    setError(null);
    try {
      const now = await replaceRule(rule.id, revision, draft, state);
      setRefused(null);
      const made = now[state] ?? from;
      toast.success(`${SAID[state]}: version ${made.version}.`);
      setBase({ rule: now, from: made });
      setDraft(draftOf(now, made));
      go({ version: String(made.version) });
    } catch (failure) {
      if (isStale(failure)) setRefused(state);
      else setError(failure);
    }
  };
  const restart = (to: RuleView, version: RuleVersion) => {
    setBase({ rule: to, from: version });
    setDraft(draftOf(to, version));
    setRefused(null);
    go({ version: String(version.version) });
  };
  const changed = rule.revision !== base.rule.revision;
  const dirty = JSON.stringify(draft) !== JSON.stringify(draftOf(base.rule, base.from));
  return (
    <div className="flex min-w-0 flex-col gap-4">
      <StartFrom rule={rule} version={from.version} dirty={dirty} go={go} />
      {changed && refused === null && (
        <p role="status" className="rounded-md bg-warn-tint px-4 py-2.5 text-sm text-warn">
          Somebody changed this rule since you began (revision {base.rule.revision}, now{" "}
          {rule.revision}). Your text is kept; saving will show both before anything is replaced.
        </p>
      )}
      {refused !== null && (
        <Conflict
          id={rule.id}
          base={base}
          mine={draft}
          state={refused}
          reload={restart}
          saveOnTop={(revision) => save(refused, revision)}
          keepWriting={() => setRefused(null)}
        />
      )}
      <Workbench
        draft={draft}
        onChange={(next) => {
          setError(null);
          setDraft(next);
        }}
        subject={subject}
        onSubject={onSubject}
        saveError={error}
        footer={({ blocked, bench }) =>
          may && rule.archived_at === null ? (
            <div className="flex flex-wrap items-center justify-end gap-2">
              <p className="mr-auto text-soft text-xs">
                {dirty ? "Not saved yet." : `As version ${base.from.version} (${base.from.state}).`}
              </p>
              <Button
                disabled={!dirty || blocked !== null}
                onClick={() =>
                  draftOf(base.rule, base.from) && setDraft(draftOf(base.rule, base.from))
                }
              >
                Undo all
              </Button>
              <Button disabled={blocked !== null} onClick={() => void save("draft")}>
                Save draft
              </Button>
              <Button disabled={blocked !== null} onClick={() => setAsked("shadow")}>
                Put in shadow
              </Button>
              <Button
                look="primary"
                disabled={blocked !== null || bench.refused}
                onClick={() => setAsked("published")}
              >
                Publish
              </Button>
              <PublishConfirm
                state={asked}
                onClose={() => setAsked(null)}
                draft={draft}
                live={asked === "shadow" ? rule.shadow : rule.published}
                active={rule.active}
                bench={bench}
                run={save}
              />
            </div>
          ) : (
            <p className="text-soft text-sm">
              {rule.archived_at === null
                ? "Your key may test rules but not save them."
                : "The rule is archived: restore it to save."}
            </p>
          )
        }
      />
    </div>
  );
}

function StartFrom({
  rule,
  version,
  dirty,
  go,
}: {
  rule: RuleView;
  version: number;
  dirty: boolean;
  go: (search: { version: string }, replace?: boolean) => void;
}) {
  const query = api.useQuery("get", "/rules/{rule_id}/versions", {
    params: { path: { rule_id: rule.id }, query: { limit: 50 } },
  });
  const versions = query.data?.versions ?? [];
  return (
    <Field
      label="Begin from"
      className="max-w-md"
      hint={dirty ? "Save or undo your text first: another version would replace it." : undefined}
    >
      {(props) => (
        <Select
          {...props}
          disabled={dirty}
          value={version}
          onChange={(event) => go({ version: event.target.value }, false)}
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
