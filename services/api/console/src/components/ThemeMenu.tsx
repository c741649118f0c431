import { Monitor, Moon, Sun } from "lucide-react";
import { setPrefs, usePrefs } from "@/lib/prefs";
import { IconButton } from "./Button";
import { Menu } from "./Menu";

const THEMES = [
  ["system", "As the system", Monitor],
  ["light", "Light", Sun],
  ["dark", "Dark", Moon],
] as const;

export default function ThemeMenu() {
  const { theme } = usePrefs();
  const Icon = THEMES.find(([name]) => name === theme)?.[2] ?? Monitor;
  return (
    <Menu
      trigger={
        <IconButton label={`Theme: ${theme}`}>
          <Icon aria-hidden className="size-4.5" />
        </IconButton>
      }
      items={THEMES.map(([name, title, Picture]) => ({
        title: (
          <>
            <Picture aria-hidden className="size-4" /> {title}
            {name === theme && <span className="ml-auto text-soft text-xs">chosen</span>}
          </>
        ),
        run: () => setPrefs({ theme: name }),
      }))}
    />
  );
}
