import type { Plugin } from "vite";

/** Takes the style element out that sonner makes when it is loaded: the CSP allows none without a
 * nonce, and the same rules come with its style sheet. */
export function externalStyles(): Plugin {
  return {
    name: "external-styles",
    apply: "build",
    transform(code, id) {
      if (!id.endsWith("/sonner/dist/index.mjs")) return null;
      const without = code.replace(/^__insertCSS\(.*$/m, "");
      if (without === code) this.error("sonner no longer makes its style as it did: look again");
      return { code: without, map: null };
    },
  };
}
