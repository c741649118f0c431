import { Choice } from "@/components/replays/Choice";
import { useMay } from "@/lib/session";
import type { Asked } from "./asked";
import { PinnedVersions } from "./PinnedVersions";
import { EFFECTS, type Effects, MODES, type Mode } from "./words";

const MODE_NAMES: Mode[] = ["current", "original", "pinned"];
const EFFECT_NAMES: Effects[] = ["dedupe", "none", "force"];

/** By which rules, and what may be sent. */
export function Choices({ asked, onChange }: { asked: Asked; onChange: (asked: Asked) => void }) {
  const mayForce = useMay("replay:force");
  const effects = EFFECT_NAMES.filter((name) => name !== "force" || mayForce);
  return (
    <div className="grid gap-5 lg:grid-cols-2">
      <div className="flex flex-col gap-3">
        <Choice
          legend="By which rules"
          name="mode"
          value={asked.mode}
          onChange={(mode) => onChange({ ...asked, mode })}
          options={MODE_NAMES.map((value) => ({
            value,
            title: MODES[value][0],
            text: MODES[value][1],
          }))}
        />
        {asked.mode === "pinned" && (
          <PinnedVersions
            versions={asked.versions}
            onChange={(versions) => onChange({ ...asked, versions })}
          />
        )}
      </div>
      <div className="flex flex-col gap-2">
        <Choice
          legend="What may be sent"
          name="effects"
          value={asked.effects}
          onChange={(chosen) => onChange({ ...asked, effects: chosen })}
          options={effects.map((value) => ({
            value,
            title: EFFECTS[value][0],
            text: EFFECTS[value][1],
          }))}
        />
        {!mayForce && (
          <p className="text-soft text-xs">
            To send again what was sent needs the scope <code>replay:force</code>, which you do not
            have.
          </p>
        )}
      </div>
    </div>
  );
}
