import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { toast } from "sonner";
import { Switch } from "@/components/Fields";
import { useMay } from "@/lib/session";
import { createRule, newId } from "./calls";
import type { Draft, State } from "./draft";
import { LeaveGuard } from "./LeaveGuard";
import { SaveButtons } from "./SaveButtons";
import type { Subject } from "./useBench";
import { Workbench } from "./Workbench";

const SAID: Record<State, string> = {
  published: "is published: it runs for new events now",
  shadow: "is in shadow: it acts on nothing",
  draft: "is saved as a draft: it is not evaluated",
};

/** A new rule from its first draft to its first version. */
export function NewRuleForm({
  draft,
  onChange,
  subject,
  onSubject,
}: {
  draft: Draft;
  onChange: (draft: Draft) => void;
  subject: Subject;
  onSubject: (subject: Subject) => void;
}) {
  const may = useMay("rules:write");
  const navigate = useNavigate();
  const [id] = useState(newId);
  const [active, setActive] = useState(true);
  const [error, setError] = useState<unknown>(null);
  // What it began as, a template, is nobody's text yet.
  const [began] = useState(draft);
  const [busy, setBusy] = useState(false);
  const saving = useRef(false);
  const isSaved = useRef(false);
  const save = async (state: State) => {
    if (saving.current) return;
    saving.current = true;
    setBusy(true);
    setError(null);
    try {
      const rule = await createRule(id, draft, active, state);
      isSaved.current = true;
      toast.success(`“${rule.name}” ${SAID[state]}.`);
      await navigate({ to: "/rules/$id", params: { id: rule.id } });
    } catch (failure) {
      // Its flaws belong to the fields: the dialog would hide them.
      setError(failure);
    } finally {
      saving.current = false;
      setBusy(false);
    }
  };
  const change = (next: Draft) => {
    setError(null);
    onChange(next);
  };
  return (
    <>
      <LeaveGuard
        dirty={JSON.stringify(draft) !== JSON.stringify(began)}
        stays={(here, there) => isSaved.current || here.pathname === there.pathname}
      />
      <Workbench
        draft={draft}
        onChange={change}
        subject={subject}
        onSubject={onSubject}
        saveError={error}
        footer={(ready) =>
          may ? (
            <div className="flex flex-wrap items-center gap-3">
              <Switch
                label={active ? "On: evaluated once it is published" : "Off: not evaluated"}
                checked={active}
                onChange={setActive}
              />
              <div className="ml-auto flex flex-wrap gap-2">
                <SaveButtons ready={ready} busy={busy} draft={draft} active={active} save={save} />
              </div>
            </div>
          ) : (
            <p className="text-soft text-sm">Your key may test rules but not save them.</p>
          )
        }
      />
    </>
  );
}
