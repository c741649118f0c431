import type { ReactNode } from "react";
import { Button } from "@/components/Button";
import { Switch } from "@/components/Fields";
import { Card, Facts, Page } from "@/components/Page";
import { Choice } from "@/components/replays/Choice";
import { Time } from "@/components/Time";
import { type Prefs, setPrefs, usePrefs } from "@/lib/prefs";
import { type Session, signOut, useSession } from "@/lib/session";

const THEMES: { value: Prefs["theme"]; title: string; text: string }[] = [
  { value: "system", title: "As the system", text: "Follows this device, by day and night." },
  { value: "light", title: "Light", text: "Always light." },
  { value: "dark", title: "Dark", text: "Always dark." },
];
const CLOCKS: { value: Prefs["clock"]; title: string; text: string }[] = [
  { value: "local", title: "Local time", text: "Of this device; UTC stands in the tip." },
  { value: "utc", title: "UTC", text: "As in logs; local time stands in the tip." },
];

export function Settings() {
  const session = useSession();
  return (
    <Page title="Settings">
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Preferences />
        <div className="flex min-w-0 flex-col gap-5">
          {session.state === "ready" && <Who session={session.session} />}
          <Elsewhere keys={session.state === "ready" && session.session.auth_mode === "keys"} />
        </div>
      </div>
    </Page>
  );
}

function Preferences() {
  const prefs = usePrefs();
  return (
    <Card title="This browser" aside="kept here only">
      <div className="flex flex-col gap-5">
        <Choice
          legend="Theme"
          name="theme"
          options={THEMES}
          value={prefs.theme}
          onChange={(theme) => setPrefs({ theme })}
        />
        <Choice
          legend="Exact moments"
          name="clock"
          options={CLOCKS}
          value={prefs.clock}
          onChange={(clock) => setPrefs({ clock })}
        />
        <div>
          <Switch
            label="Single keys do something"
            checked={prefs.shortcuts}
            onChange={(shortcuts) => setPrefs({ shortcuts })}
          />
          <p className="mt-1 text-soft text-xs">
            Switch them off when you speak to your computer, or type by accident. Ctrl K stays.
          </p>
        </div>
      </div>
    </Card>
  );
}

function Who({ session }: { session: Session }) {
  const open = session.auth_mode === "none";
  return (
    <Card
      title="This session"
      aside={
        !open && (
          <Button small onClick={() => void signOut()}>
            Sign out
          </Button>
        )
      }
    >
      <Facts
        facts={[
          ["You are", session.caller ?? "nobody in particular"],
          ["Keys", open ? "not asked for (AUTH_MODE=none)" : "asked for (AUTH_MODE=keys)"],
          ["You may", <Scopes key="scopes" scopes={session.scopes} />],
          ["Faults", session.faults_enabled ? "can be switched on here" : "not enabled here"],
          ["Version", session.version],
          ["Answered by", session.instance],
          ["Up since", <Time key="since" at={session.started_at} show="exact" />],
        ]}
      />
    </Card>
  );
}

function Scopes({ scopes }: { scopes: string[] }) {
  if (scopes.length === 0) return "nothing: the key has no scope";
  return (
    <ul className="flex flex-wrap gap-x-3 gap-y-0.5">
      {scopes.map((scope) => (
        <li key={scope}>
          <code className="font-mono text-[13px]">{scope}</code>
        </li>
      ))}
    </ul>
  );
}

function Elsewhere({ keys }: { keys: boolean }) {
  const links: [string, ReactNode][] = [
    ["/health/ready", "whether this api can do its work"],
    [
      "/metrics",
      keys ? "for Prometheus; wants a key with metrics:read, so not from a link" : "for Prometheus",
    ],
    ["/openapi.json", "the api, for programs"],
  ];
  return (
    <Card title="Also here">
      <ul className="flex flex-col gap-2 text-sm">
        {links.map(([href, words]) => (
          <li key={href}>
            <a
              href={href}
              className="font-mono text-[13px] text-accent underline underline-offset-2"
            >
              {href}
            </a>{" "}
            <span className="text-soft">{words}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
