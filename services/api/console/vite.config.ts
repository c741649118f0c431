import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { externalStyles } from "./external-styles.ts";
import { precompress } from "./precompress.ts";

// `npm run dev` beside a running system: where its api answers.
const api = process.env.ONCELY_API ?? "http://127.0.0.1:3000";
const routes =
  "^/(session|overview|invariants|events|event-types|rules|backtests|targets|deliveries|dead-letters|replays|faults|orders|keys|problems|openapi.json|health|metrics)(/|$|\\?)";

export default defineConfig({
  base: "/console/",
  plugins: [react(), tailwindcss(), externalStyles(), precompress()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  // The api puts a fresh nonce here with every answer: nothing inline is allowed without it.
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2022",
    // Fonts and pictures stay files: the CSP allows no data: fonts, and files are cached.
    assetsInlineLimit: 0,
    manifest: true,
    chunkSizeWarningLimit: 400,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      [routes]: { target: api, changeOrigin: false },
      "/ws": { target: api, changeOrigin: false, ws: true },
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    setupFiles: ["src/test-setup.ts"],
  },
});
