import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { CircleHelp, Menu as MenuIcon, Search } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { arrivals } from "@/lib/arrivals";
import { useHotkeys } from "@/lib/hotkeys";
import { PLACES } from "@/lib/nav";
import { useSession } from "@/lib/session";
import { Button, IconButton } from "./Button";
import { FaultStrip } from "./FaultStrip";
import { LiveDot } from "./LiveDot";
import { Failed, Loading } from "./States";

// Not on the first screen: loaded when they are asked for.
const SignIn = lazy(() => import("./SignIn"));
const KeyEnded = lazy(() => import("./KeyEnded"));
const Dialog = lazy(() => import("./Dialog").then((module) => ({ default: module.Dialog })));
const ThemeMenu = lazy(() => import("./ThemeMenu"));
const Palette = lazy(() => import("./Palette"));
const Shortcuts = lazy(() => import("./Shortcuts"));
const Notices = lazy(() => import("./Notices"));

/** What is around every page: who is there, where one can go, and whether a fault is on. */
export function Shell() {
  const session = useSession();
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  useHotkeys({
    "?": () => setHelp(true),
    ...Object.fromEntries(PLACES.map(({ keys, to }) => [keys, () => void navigate({ to })])),
  });
  usePaletteKey(() => setPalette((isOpen) => !isOpen));
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: focus follows the path
  useEffect(() => {
    setMenu(false);
    // The first page is announced by the browser.
    if (!first.current) {
      arrivals.leaveWord();
      const heading = main.current?.querySelector("h1");
      if (heading?.isConnected && arrivals.takeOne()) heading.focus({ preventScroll: true });
    }
    first.current = false;
  }, [path]);

  if (session.state === "signed-out")
    return (
      <Suspense fallback={null}>
        <SignIn />
      </Suspense>
    );
  return (
    <>
      <a
        href="#main"
        className="sr-only rounded bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50"
      >
        Skip to content
      </a>
      {session.state === "ready" && session.ended && (
        <Suspense fallback={null}>
          <KeyEnded />
        </Suspense>
      )}
      <FaultStrip />
      <div className="flex min-h-dvh">
        <aside className="sticky top-0 hidden h-dvh w-56 shrink-0 flex-col overflow-y-auto border-line border-r bg-sunken lg:flex">
          <Brand />
          <Places />
        </aside>
        <div className="flex min-w-0 flex-1 flex-col">
          <header className="sticky top-0 z-20 flex h-13 items-center gap-2 border-line border-b bg-paper/95 px-3 backdrop-blur sm:px-6">
            <div className="lg:hidden">
              <IconButton label="Menu" onClick={() => setMenu(true)}>
                <MenuIcon aria-hidden className="size-5" />
              </IconButton>
            </div>
            <Button
              className="min-w-0 justify-start text-soft sm:w-72"
              onClick={() => setPalette(true)}
            >
              <Search aria-hidden className="size-4" />
              <span className="truncate">Go to, find, do</span>
              <kbd className="ml-auto hidden font-sans text-xs sm:inline">Ctrl K</kbd>
            </Button>
            <div className="ml-auto flex items-center gap-1">
              <LiveDot />
              <Suspense fallback={<span className="size-9" />}>
                <ThemeMenu />
              </Suspense>
              <IconButton label="Keyboard and help" onClick={() => setHelp(true)}>
                <CircleHelp aria-hidden className="size-4.5" />
              </IconButton>
            </div>
          </header>
          <main id="main" ref={main} className="min-w-0 flex-1">
            {session.state === "failed" ? (
              <Failed error={session.error} retry={session.retry} />
            ) : session.state === "loading" ? (
              <Loading />
            ) : (
              <Suspense fallback={<Loading rows={8} />}>
                <Outlet />
              </Suspense>
            )}
          </main>
        </div>
      </div>
      <Suspense fallback={null}>
        {menu && (
          <Dialog open onClose={() => setMenu(false)} title="Oncely" side>
            <Places />
          </Dialog>
        )}
        {palette && <Palette onClose={() => setPalette(false)} />}
        {help && <Shortcuts onClose={() => setHelp(false)} />}
        <Notices />
      </Suspense>
    </>
  );
}

function Brand() {
  return (
    <Link
      to="/"
      className="flex items-center gap-2 px-4 py-3.5 font-semibold text-lg tracking-tight"
    >
      <svg viewBox="0 0 32 32" className="size-7" aria-hidden>
        <title>Oncely</title>
        <rect width="32" height="32" rx="8" fill="var(--accent)" />
        <circle
          cx="16"
          cy="16"
          r="8"
          fill="none"
          stroke="var(--on-accent)"
          strokeWidth="3.5"
          strokeDasharray="41 10"
          transform="rotate(-60 16 16)"
        />
      </svg>
      Oncely
    </Link>
  );
}

function Places() {
  const groups = [...new Set(PLACES.map((place) => place.group))];
  return (
    <nav aria-label="Console" className="flex flex-col gap-4 px-2 pt-1 pb-4">
      {groups.map((group) => (
        <div key={group}>
          <p className="px-2 pb-1 font-medium text-soft text-xs">{group}</p>
          <ul className="flex flex-col gap-0.5">
            {PLACES.filter((place) => place.group === group).map(({ to, title, icon: Icon }) => (
              <li key={to}>
                <Link
                  to={to}
                  activeOptions={{ exact: to === "/", includeSearch: false }}
                  className="flex items-center gap-2.5 rounded-md px-2 py-1.5 text-[14px] text-soft hover:bg-card hover:text-ink"
                  activeProps={{
                    className: "bg-card text-ink font-medium shadow-[inset_0_0_0_1px_var(--line)]",
                  }}
                >
                  <Icon aria-hidden className="size-4" />
                  {title}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

/** Ctrl-K or Cmd-K works everywhere, also while somebody types. */
function usePaletteKey(toggle: () => void) {
  const latest = useRef(toggle);
  latest.current = toggle;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        latest.current();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
