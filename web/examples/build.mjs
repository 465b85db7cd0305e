// Bundles the pages of the examples: node build.mjs '{"modules": "node_modules with the libraries", "out": "folder"}'
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const { modules, out } = JSON.parse(process.argv[2] ?? "{}");
const here = dirname(fileURLToPath(import.meta.url));
const { compileScript, parse } = createRequire(join(modules, "any.js"))("vue/compiler-sfc");

/** Vue's single-file components, their templates compiled here: a page under a strict policy cannot do it. */
const vue = {
  name: "vue",
  setup(bundling) {
    bundling.onLoad({ filter: /\.vue$/ }, async ({ path: filename }) => {
      const { descriptor } = parse(await readFile(filename, "utf8"), { filename });
      const { content } = compileScript(descriptor, { id: filename, inlineTemplate: true });
      return { contents: content, loader: "ts", resolveDir: dirname(filename) };
    });
  },
};

await build({
  entryPoints: (await readdir(here, { recursive: true }))
    .filter((name) => /^\w+[\\/]main\.(js|ts|tsx)$/.test(name))
    .map((name) => join(here, name)),
  outdir: out,
  outbase: here,
  plugins: [vue],
  nodePaths: [modules],
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  charset: "utf8",
  logLevel: "warning",
  define: {
    "process.env.NODE_ENV": '"development"', // React's StrictMode mounts twice only there.
    __VUE_OPTIONS_API__: "false",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
});
