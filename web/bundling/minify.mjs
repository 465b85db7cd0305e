// Minifies modules as they are: node minify.mjs '[["path", "path"], ...]'
import { readFile, writeFile } from "node:fs/promises";
import { transform } from "esbuild";

const options = { minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "inline" };

for (const [source, target] of JSON.parse(process.argv[2] ?? "[]")) {
  const { code } = await transform(await readFile(source, "utf8"), options);
  await writeFile(target, code);
}
