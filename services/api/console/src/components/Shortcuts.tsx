import { PLACES } from "@/lib/nav";
import { setPrefs, usePrefs } from "@/lib/prefs";
import { Dialog } from "./Dialog";
import { Switch } from "./Fields";

const KEYS: [string, string][] = [
  ["Ctrl K", "go to, find, do"],
  ["/", "to the filter of a list"],
  ["j  k", "down and up in a list"],
  ["Enter", "open"],
  ["Esc", "close"],
  ["x", "select in a list"],
  ["r", "replay an event"],
  ["?", "this sheet"],
];

export default function Shortcuts({ onClose }: { onClose: () => void }) {
  const { shortcuts } = usePrefs();
  const all = [
    ...KEYS,
    ...PLACES.map(({ keys, title }): [string, string] => [keys.replace(" ", "  "), title]),
  ];
  return (
    <Dialog open onClose={onClose} title="Keyboard">
      <dl className="grid grid-cols-[auto_1fr] gap-x-5 gap-y-1.5 text-sm">
        {all.map(([keys, what]) => (
          <div key={keys} className="contents">
            <dt>
              <kbd className="rounded border border-line bg-sunken px-1.5 py-0.5 font-mono text-xs">
                {keys}
              </kbd>
            </dt>
            <dd className="text-soft">{what}</dd>
          </div>
        ))}
      </dl>
      <div className="mt-5 border-line border-t pt-4">
        <Switch
          label="Single keys do something"
          checked={shortcuts}
          onChange={(on) => setPrefs({ shortcuts: on })}
        />
      </div>
    </Dialog>
  );
}
