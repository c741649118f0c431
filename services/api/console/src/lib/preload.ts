import type { AnyRouter } from "@tanstack/react-router";

const WAIT_MS = 3_000;

/**
 * Load the code of every screen once the first one is at rest: if the api goes away later, each
 * screen is still there and says so itself, instead of the browser's own error page. Editor and
 * charts stay where they are until they are needed.
 */
export function preloadScreens(router: AnyRouter): () => void {
  const timer = window.setTimeout(async () => {
    for (const route of Object.values(router.routesById)) {
      await router.loadRouteChunk(route)?.catch(() => {});
    }
  }, WAIT_MS);
  return () => window.clearTimeout(timer);
}
