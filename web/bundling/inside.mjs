// Runs Pyodide under Node, for what only the browser's own Python can tell or make:
//   node inside.mjs modules '{"core": folder, "wheels": [path...], "targets": [path]}'       what a screening loads
//   node inside.mjs tables  '{"core": folder, "targets": [path]}'                           where unused tables lie
//   node inside.mjs compile '{"core": folder, "sources": [path...], "targets": [path...]}'   sources to bytecode
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

// The message alone, which for Python's errors has the traceback: Node would print all of Pyodide's one line before it.
process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});

const [, , task, order] = process.argv;
const { core, wheels, sources, targets } = JSON.parse(order ?? "{}");
const { loadPyodide } = await import(pathToFileURL(`${core}/pyodide.mjs`).href);
const HOME = "/home/pyodide";
// A fixed seed, because the order of a set stands in the bytecode; lines without columns, a fifth of its size.
const env = { HOME, PYTHONHASHSEED: "0", PYTHONNODEBUGRANGES: "1" };
const pyodide = await loadPyodide({ indexURL: `${core}/`, env });
const read = async (path) => new Uint8Array(await readFile(path)); // Pyodide knows no Buffer.

async function load(name) {
  pyodide.FS.writeFile(`${HOME}/${name}.py`, await read(new URL(`pyodide/${name}.py`, import.meta.url)));
  return pyodide.pyimport(name);
}

if (task === "modules") {
  for (const wheel of wheels) pyodide.unpackArchive(await read(wheel), "wheel");
  const workload = await load("workload");
  await writeFile(targets[0], workload.run());
} else if (task === "tables") {
  await writeFile(targets[0], (await load("tables")).ranges());
} else {
  const { compile_archive } = await load("compiling");
  for (const [index, source] of sources.entries()) {
    const packed = compile_archive(await read(source));
    await writeFile(targets[index], packed.toJs());
    packed.destroy();
  }
}
