import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OUT = "built/page";

/** Packs the built files once, so that the gateway sends them as they are. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    async closeBundle() {
      const entries = await readdir(OUT, { recursive: true, withFileTypes: true });
      let packed = 0;
      for (const entry of entries.filter((file) => file.isFile() && /\.(html|js|css|svg)$/.test(file.name))) {
        const path = join(entry.parentPath, entry.name);
        const content = await readFile(path);
        const brotli = brotliCompressSync(content, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: 11,
            [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
          },
        });
        await writeFile(`${path}.br`, brotli);
        await writeFile(`${path}.gz`, gzipSync(content, { level: 9 }));
        packed += brotli.length;
      }
      this.info(`${(packed / 1000).toFixed(1)} kB in all, as brotli`);
    },
  };
}

// `npm run dev` asks a gateway that is already up.
const gateway = process.env["FEDCOST_GATEWAY"] ?? "http://127.0.0.1:9090";

export default defineConfig({
  // Relative, so that the page also works under a path of a proxy.
  base: "./",
  plugins: [react(), precompress()],
  build: {
    outDir: OUT,
    // `/assets` is a path of the API.
    assetsDir: "static",
    // Data URLs would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    // Beside the folder that cargo watches lies nothing else.
    emptyOutDir: true,
  },
  server: {
    port: 5173,
    proxy: Object.fromEntries(
      ["/model", "/status", "/views", "/api", "/openapi.json", "/start"].map((path) => [path, gateway]),
    ),
  },
  test: { include: ["src/**/*.test.ts"] },
});
