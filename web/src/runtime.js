// @ts-check
// The loader: Pyodide, numpy and the pure wheel of `wasm_detector`, from the folder that the worker lies in.
import { members } from "./archive.js";
import { fetchAll } from "./downloads.js";
import { Code, ScreeningError, Tell } from "./protocol.js";
import { fill, find, forget, keep, trust } from "./snapshot.js";

/** @typedef {import("./protocol.js").FromWorker} FromWorker */
/** @typedef {import("./downloads.js").Download} Download */
/** @typedef {Map<string, Download>} Files */
/** @typedef {import("./snapshot.js").Snapshot} Snapshot */
/** @typedef {(phase: string) => Record<string, number>} Lap */
/** @typedef {{detector: any, snapshot: Uint8Array<ArrayBuffer> | null}} Booted */
/** @typedef {{detector: any, keep: () => Promise<void>}} Started the Python module `wasm_detector.browser`; `keep` puts
 *   by what makes the next start short, and takes a tenth of a second */
/** @typedef {{path: string, content: Uint8Array<ArrayBuffer>, code: WebAssembly.Module | null}} Member of a package */

// Set by the build: sha256 and size of every file of the first load, and the lockfile that Pyodide asks for.
const FILES = /** @type {Record<string, {sha256: string, bytes: number}>} */ (__FILES__);
const LOCKFILE = __LOCKFILE__;

const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const BASE = new URL("./", import.meta.url);
const WASM = address("pyodide.asm.wasm");
const PACKAGES = "/lib/python3.14/site-packages/";

/** @param {string} name */
function address(name) {
  return new URL(name, BASE).href;
}

/**
 * Fetch everything side by side, start Python with the detector: from a snapshot where there is one, else from nothing.
 * @param {(message: FromWorker) => void} tell
 * @returns {Promise<Started>}
 */
export async function start(tell) {
  const lap = phases(tell);
  try {
    new WebAssembly.Module(EMPTY_MODULE); // Pyodide would wait for ever where a policy forbids WebAssembly.
    const { files, failed } = fetchAll(FILES, BASE, tell);
    const kept = await find();
    lap("find");
    const restored = kept && (await Promise.race([restore(files, lap, kept), failed]));
    const { detector, snapshot } = restored ?? (await Promise.race([boot(files, lap), failed]));
    const described = plain(detector.describe());
    tell({ kind: Tell.READY, detector: described, start: restored ? "snapshot" : "cold", times: lap("model") });
    return {
      detector,
      async keep() {
        if (snapshot) await keep(snapshot, detector.golden());
      },
    };
  } catch (error) {
    if (error instanceof ScreeningError) throw error;
    throw new ScreeningError(Code.LOAD, String(error));
  }
}

/**
 * @param {(message: FromWorker) => void} tell
 * @returns {Lap} notes a phase, and says that one is over; milliseconds of all phases so far
 */
function phases(tell) {
  let last = 0; // The worker's own clock begins when it is made.
  /** @type {Record<string, number>} */
  const times = {};
  return (name) => {
    tell({ kind: Tell.ALIVE });
    const now = performance.now();
    times[name] = Math.round((times[name] ?? 0) + now - last);
    times.total = Math.round(now);
    last = now;
    return times;
  };
}

/**
 * @param {Files} files
 * @param {Lap} lap
 * @param {Snapshot} kept
 * @returns {Promise<Booted | null>} null when it is of no use here; then it is deleted
 */
async function restore(files, lap, kept) {
  try {
    const booted = await boot(files, lap, kept);
    const golden = booted.detector.golden();
    lap("golden");
    if (golden === kept.golden) {
      await trust();
      return booted;
    }
  } catch (error) {
    console.info(`The snapshot of the runtime is of no use: ${error}`);
  }
  await forget();
  return null;
}

/**
 * @param {Files} files
 * @param {Lap} lap
 * @param {Snapshot} [kept] the memory to go on from
 * @returns {Promise<Booted>}
 */
async function boot(files, lap, kept) {
  const [{ loadPyodide }, asm] = await Promise.all([script(files, "pyodide.mjs"), script(files, "pyodide.asm.mjs")]);
  const packages = await preparePackages(files);
  lap("fetch");
  await files.get(WASM)?.module;
  lap("compile");
  const unanswer = answerPyodide(files);
  try {
    const pyodide = await loadPyodide({
      indexURL: BASE.href,
      lockFileContents: LOCKFILE,
      packageBaseUrl: BASE.href,
      createPyodideModule: (/** @type {any} */ settings) => create(asm.default, settings, packages, kept),
      ...(kept ? { _loadSnapshot: kept.state } : { _makeSnapshot: true }),
      stdout: () => {},
      stderr: () => {},
    });
    lap("python");
    const detector = pyodide.pyimport("wasm_detector.browser");
    lap("imports");
    return { detector, snapshot: kept ? null : take(pyodide) };
  } finally {
    unanswer();
  }
}

/**
 * Copy the memory while nothing of any recording is in it.
 * @param {any} pyodide
 * @returns {Uint8Array<ArrayBuffer>}
 */
function take(pyodide) {
  const listed = { ...pyodide.loadedPackages };
  for (const name of Object.keys(listed)) delete pyodide.loadedPackages[name]; // Pyodide wants none loaded.
  const memory = pyodide.makeMemorySnapshot();
  Object.assign(pyodide.loadedPackages, listed);
  // For the copy's sake `js` was a stand-in that cannot read `js.location`. Now it may be the real one.
  pyodide.unregisterJsModule("js");
  pyodide.registerJsModule("js", self);
  pyodide.runPython("import sys; sys.modules.pop('js', None)");
  return memory;
}

/**
 * @param {(settings: any) => Promise<any>} createModule Emscripten's
 * @param {any} settings Pyodide's
 * @param {Member[]} packages
 * @param {Snapshot} [kept]
 */
async function create(createModule, settings, packages, kept) {
  settings.preRun.push((/** @type {any} */ module) => install(module, packages));
  const module = await createModule(settings);
  if (kept) fill(module, kept);
  return module;
}

/**
 * @param {Files} files
 * @param {string} name
 */
async function content(files, name) {
  return /** @type {Uint8Array<ArrayBuffer>} */ (await files.get(name)?.content);
}

/**
 * @param {Files} files
 * @param {string} name of a module script, checked before it is run; the second request is answered from the cache
 */
async function script(files, name) {
  await content(files, address(name));
  return import(/** @type {any} */ (address(name)));
}

/**
 * @param {Files} files
 * @returns {Promise<Member[]>} shared objects compiled
 */
async function preparePackages(files) {
  const wheels = [...files.keys()].filter((name) => name.endsWith(".whl"));
  const found = [];
  for (const wheel of wheels) found.push(...members(await content(files, wheel)));
  return Promise.all(
    found.map(async ([name, content]) => ({
      path: PACKAGES + name,
      content,
      code: name.endsWith(".so") ? await WebAssembly.compile(content) : null,
    })),
  );
}

/**
 * Put the packages where Python looks for them, and link the shared objects before Python starts: always in the
 * same order, so that they lie at the same places in memory as in a snapshot.
 * @param {any} module of Emscripten
 * @param {Member[]} packages
 */
function install(module, packages) {
  const made = new Set();
  for (const { path, content } of packages) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(folder)) module.FS.mkdirTree(folder);
    made.add(folder);
    module.FS.writeFile(path, content, { canOwn: true });
  }
  for (const { path, code } of packages) {
    if (!code) continue;
    const library = module.newDSO(path, undefined, "loading");
    library.refcount = Infinity;
    library.global = false;
    library.exports = module.loadWebAssemblyModule(code, {}, path, {});
  }
}

/**
 * Answer what Pyodide fetches by itself with what is there already. It has no option for it.
 * @param {Files} files
 * @returns {() => void} puts the browser's own functions back
 */
function answerPyodide(files) {
  const { fetch } = self;
  const { instantiateStreaming } = WebAssembly;
  self.fetch = async (input, init) => {
    const asked = new URL(input instanceof Request ? input.url : String(input), BASE).href;
    const found = files.get(asked);
    return found ? new Response(/** @type {any} */ (found.module ? "" : await found.content)) : fetch.call(self, input, init);
  };
  WebAssembly.instantiateStreaming = async (_, imports) => {
    const module = /** @type {WebAssembly.Module} */ (await files.get(WASM)?.module);
    return { module, instance: await WebAssembly.instantiate(module, imports) };
  };
  return () => {
    self.fetch = fetch;
    WebAssembly.instantiateStreaming = instantiateStreaming;
  };
}

/**
 * @param {any} proxy a Python dict or list
 * @returns {any} the same as plain JavaScript data, the proxy released
 */
export function plain(proxy) {
  const value = proxy.toJs({ dict_converter: dictionary });
  proxy.destroy();
  return value;
}

/**
 * @param {Iterable<[string, unknown]>} entries of a Python dict
 * @returns {Record<string, unknown>} with null for None: `undefined` would be missing from the claim's JSON
 */
function dictionary(entries) {
  return Object.fromEntries(Array.from(entries, ([key, value]) => [key, value ?? null]));
}
