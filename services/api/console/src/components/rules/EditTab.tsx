import { useRef, useState } from "react";
import { toast } from "sonner";
import { Button } from "@/components/Button";
import { Loaded } from "@/components/States";
import { api } from "@/lib/api";
import { useMay } from "@/lib/session";
import { Conflict } from "./Conflict";
import { type RuleVersion, type RuleView, replaceRule, seedVersion } from "./calls";
import { type Draft, draftOf, isStale, type State } from "./draft";
import { LeaveGuard } from "./LeaveGuard";
import { SaveButtons } from "./SaveButtons";
import { StartFrom } from "./StartFrom";
import { useSubject } from "./useSubject";
import { Workbench } from "./Workbench";

const SAID: Record<State, string> = {
  published: "Published: it runs for new events now",
  shadow: "In shadow: it acts on nothing",
  draft: "Saved as a draft: it is not evaluated",
};

type Search = { version?: string; event_id?: string };
type Go = (next: Search, replace?: boolean) => void;
type Props = {
  rule: RuleView;
  /** What the address says of the edit, or said when the tab was last in view. */
  search: Search;
  go: Go;
};

/** Which version an edit begins from: what was written last of those that count. */
export function startOf(rule: RuleView): number {
  const standing = [rule.published, rule.shadow, rule.draft].filter((each) => each !== null);
  return Math.max(0, ...standing.map(({ version }) => version)) || rule.newest_version;
}

export function EditTab({ rule, search, go }: Props) {
  const [seen, setSeen] = useState(search.version);
  // One edit goes on over its own saves; another version that the address asks for begins another.
  const [edit, setEdit] = useState(() => ({
    no: 0,
    version: Number(search.version) || startOf(rule),
  }));
  if (search.version !== undefined && search.version !== seen) {
    setSeen(search.version);
    const version = Number(search.version) || edit.version;
    if (version !== edit.version) setEdit({ no: edit.no + 1, version });
  }
  const query = api.useQuery(
    "get",
    "/rules/{rule_id}/versions/{version}",
    { params: { path: { rule_id: rule.id, version: edit.version } } },
    { staleTime: Number.POSITIVE_INFINITY },
  );
  return (
    <Loaded query={query}>
      {(from) => (
        <Editing
          key={edit.no}
          rule={rule}
          from={from}
          search={search}
          go={go}
          onVersion={(version) => setEdit((before) => ({ ...before, version }))}
        />
      )}
    </Loaded>
  );
}

function Editing({
  rule,
  from,
  search,
  go,
  onVersion,
}: Props & { from: RuleVersion; onVersion: (version: number) => void }) {
  const may = useMay("rules:write");
  // What was read when the edit began: a save on top of anything else is refused (412).
  const [base, setBase] = useState({ rule, from });
  const [draft, setDraft] = useState<Draft>(() => draftOf(rule, from));
  const [error, setError] = useState<unknown>(null);
  const [refused, setRefused] = useState<State | null>(null);
  const [busy, setBusy] = useState(false);
  // Set at once, where a second press may come before the buttons are drawn anew.
  const saving = useRef(false);
  const own = useRef(from.version);
  const [subject, onSubject] = useSubject(from.event_type, search.event_id, go);

  const adopt = (to: RuleView, version: RuleVersion) => {
    own.current = version.version;
    setBase({ rule: to, from: version });
    setRefused(null);
    seedVersion(rule.id, version);
    onVersion(version.version);
    go({ version: String(version.version) });
  };
  const save = async (state: State, revision = base.rule.revision) => {
    if (saving.current) return;
    saving.current = true;
    setBusy(true);
    setError(null);
    const sent = draft;
    try {
      const now = await replaceRule(rule.id, revision, sent, state);
      const made = now[state] ?? base.from;
      toast.success(`${SAID[state]}: version ${made.version}.`);
      // What was typed while it was saved stays, and is not saved yet.
      setDraft((typed) => (typed === sent ? draftOf(now, made) : typed));
      adopt(now, made);
    } catch (failure) {
      if (isStale(failure)) setRefused(state);
      else setError(failure);
    } finally {
      saving.current = false;
      setBusy(false);
    }
  };
  const restart = (to: RuleView, version: RuleVersion) => {
    setDraft(draftOf(to, version));
    adopt(to, version);
  };
  const saved = draftOf(base.rule, base.from);
  const dirty = JSON.stringify(draft) !== JSON.stringify(saved);
  const changed = rule.revision !== base.rule.revision && !busy;
  return (
    <div className="flex min-w-0 flex-col gap-4">
      <LeaveGuard
        dirty={dirty}
        stays={(here, there) =>
          here.pathname === there.pathname &&
          (there.search.tab !== "edit" ||
            Number(there.search.version ?? own.current) === own.current)
        }
      />
      <StartFrom
        rule={rule}
        version={base.from.version}
        dirty={dirty || busy}
        onChange={(version) => go({ version }, false)}
      />
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
          busy={busy}
          saveOnTop={(revision) => void save(refused, revision)}
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
        footer={(ready) =>
          may && rule.archived_at === null ? (
            <div className="flex flex-wrap items-center justify-end gap-2">
              <p className="mr-auto text-soft text-xs">
                {busy
                  ? "Saving…"
                  : dirty
                    ? "Not saved yet."
                    : `As version ${base.from.version} (${base.from.state}).`}
              </p>
              <Button disabled={!dirty || busy} onClick={() => setDraft(saved)}>
                Undo all
              </Button>
              <SaveButtons
                ready={ready}
                busy={busy}
                draft={draft}
                live={rule}
                active={rule.active}
                save={save}
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
