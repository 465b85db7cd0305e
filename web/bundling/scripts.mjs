// Bundles one entry module: node scripts.mjs '{"entry": ..., "outfile": ..., "define": {...}}'
import { build } from "esbuild";

const { entry, outfile, define } = JSON.parse(process.argv[2] ?? "{}");
await build({
  entryPoints: [entry],
  outfile,
  define,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "inline",
  logLevel: "warning",
  // Pyodide's own loader lies beside the worker and is fetched only when a person means to choose a file.
  // What hears compressed recordings is a file of its own, too.
  external: ["./pyodide.mjs", "./pyodide.asm.mjs", "./media.js"],
});
