// @ts-check
// The loader: Pyodide, numpy and the pure wheel of `wasm_detector`, from the folder that the worker lies in.
import { members } from "./archive.js";
import { Downloads } from "./downloads.js";
import { Code, ScreeningError, Tell } from "../protocol.js";
import { find, forget, keep, mark, trust } from "./snapshot.js";

/** @typedef {import("../protocol.js").FromWorker} FromWorker */
/** @typedef {import("./snapshot.js").Snapshot} Snapshot */
/** @typedef {(phase: string) => Record<string, number>} Lap */
/** @typedef {{path: string, module: WebAssembly.Module}} Library a shared object, and where Python looks for it */
/** @typedef {{loadPyodide: any, createModule: any, main: WebAssembly.Module, libraries: Library[]}} Runtime */
/** @typedef {{detector: any, snapshot: Uint8Array<ArrayBuffer> | null}} Booted */
/** @typedef {{detector: any, keep: () => Promise<void>}} Started the Python module `wasm_detector.browser`; `keep` puts
 *   by what makes the next start short, and takes a tenth of a second */

// Set by the build: sha256 and size of every file of the first load, which of them are shared objects of which path,
// and the lockfile that Pyodide asks for.
const FILES = /** @type {Record<string, {sha256: string, bytes: number}>} */ (__FILES__);
const LIBRARIES = /** @type {Record<string, string>} */ (__LIBRARIES__);
const LOCKFILE = __LOCKFILE__;

const SMALL_BYTES = 256;
const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const BASE = new URL("./", import.meta.url);
const WASM = "pyodide.asm.wasm";
const STDLIB = "python_stdlib.zip";
const PACKAGES = "/lib/python3.14/site-packages/";
const WHEELS = Object.keys(FILES).filter((name) => name.endsWith(".whl"));
/** Python's own files: a start from a snapshot has what is in them. */
const ARCHIVES = [STDLIB, ...WHEELS];
const CODE = ["pyodide.mjs", "pyodide.asm.mjs", WASM, ...Object.keys(LIBRARIES)];

/**
 * Fetch everything side by side, start Python with the detector: from a snapshot where there is one, else from nothing.
 * @param {(message: FromWorker) => void} tell
 * @returns {Promise<Started>}
 */
export async function start(tell) {
  const lap = phases(tell);
  /** @type {Snapshot | null} */
  let found = null;
  try {
    new WebAssembly.Module(EMPTY_MODULE); // Pyodide would wait for ever where a policy forbids WebAssembly.
    const files = new Downloads(FILES, BASE, tell);
    files.ask(CODE);
    const runtime = prepare(files);
    found = await find();
    lap("find");
    if (!found) files.ask(ARCHIVES);
    await Promise.race([runtime, files.failed]);
    lap("fetch");
    const restored = found && (await restore(files, await runtime, lap, found));
    const { detector, snapshot } = restored ?? (await Promise.race([boot(files, await runtime, lap), files.failed]));
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
  } finally {
    found?.close();
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
 * @param {Downloads} files
 * @returns {Promise<Runtime>} what both kinds of start run, checked and compiled
 */
async function prepare(files) {
  const [{ loadPyodide }, asm, main, ...libraries] = await Promise.all([
    script(files, "pyodide.mjs"),
    script(files, "pyodide.asm.mjs"),
    compiled(files, WASM),
    ...Object.entries(LIBRARIES).map(async ([name, path]) => ({
      path: PACKAGES + path,
      module: await compiled(files, name),
    })),
  ]);
  return { loadPyodide, createModule: asm.default, main, libraries };
}

/**
 * @param {Downloads} files
 * @param {Runtime} runtime
 * @param {Lap} lap
 * @param {Snapshot} kept
 * @returns {Promise<Booted | null>} null when it is of no use here; then it is deleted
 */
async function restore(files, runtime, lap, kept) {
  const marked = mark();
  try {
    const fill = async (/** @type {any} */ module) => {
      await marked;
      kept.fill(module);
    };
    const booted = await boot(files, runtime, lap, { ...kept, fill });
    const golden = booted.detector.golden();
    lap("golden");
    if (golden === kept.golden) {
      files.spare(ARCHIVES);
      void trust();
      return booted;
    }
  } catch (error) {
    console.info(`The snapshot of the runtime is of no use: ${error}`);
  }
  kept.close(); // What is open is not deleted.
  await marked.catch(() => {}); // Or the mark comes after it was removed.
  await forget();
  files.ask(ARCHIVES);
  return null;
}

/**
 * @param {Downloads} files
 * @param {Runtime} runtime
 * @param {Lap} lap
 * @param {Snapshot} [kept] the memory to go on from
 * @returns {Promise<Booted>}
 */
async function boot(files, runtime, lap, kept) {
  /** @type {[string, Uint8Array<ArrayBuffer>][]} */
  const packages = [];
  if (!kept) for (const wheel of WHEELS) packages.push(...members(await files.get(wheel).content));
  const unanswer = answerPyodide(kept ? null : await files.get(STDLIB).content, runtime.main);
  lap("archives");
  try {
    const pyodide = await runtime.loadPyodide({
      indexURL: BASE.href,
      lockFileContents: LOCKFILE,
      packageBaseUrl: BASE.href,
      createPyodideModule: (/** @type {any} */ settings) => create(runtime, settings, packages, kept),
      ...(kept ? { _loadSnapshot: kept.state } : { _makeSnapshot: true }),
      stdout: () => {},
      stderr: () => {},
    });
    lap("python");
    if (kept) leaveOut(pyodide);
    const detector = pyodide.pyimport("wasm_detector.browser");
    lap("imports");
    if (kept) return { detector, snapshot: null };
    detector.settle();
    return { detector, snapshot: take(pyodide) };
  } finally {
    unanswer();
  }
}

/**
 * Have Python fetch its archives when it first misses something that lies in them.
 * @param {any} pyodide
 */
function leaveOut(pyodide) {
  const finder = pyodide.pyimport("_on_demand");
  finder.leave_out(JSON.stringify(Object.fromEntries(ARCHIVES.map((name) => [name, FILES[name].sha256]))));
  finder.destroy();
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
 * @param {Runtime} runtime
 * @param {any} settings Pyodide's
 * @param {[string, Uint8Array<ArrayBuffer>][]} packages name and content of files
 * @param {Snapshot} [kept]
 */
async function create({ createModule, libraries }, settings, packages, kept) {
  settings.preRun.push((/** @type {any} */ module) => install(module, packages, libraries));
  const module = await createModule(settings);
  await kept?.fill(module);
  return module;
}

/**
 * @param {Downloads} files
 * @param {string} name of a module script, checked before it is run; the second request is answered from the cache
 */
async function script(files, name) {
  await files.get(name).content;
  return import(/** @type {any} */ (new URL(name, BASE).href));
}

/**
 * @param {Downloads} files
 * @param {string} name
 */
function compiled(files, name) {
  return /** @type {Promise<WebAssembly.Module>} */ (files.get(name).module);
}

/**
 * Put the packages where Python looks for them, and link the shared objects before Python starts: always in the
 * same order, so that they lie at the same places in memory as in a snapshot.
 * @param {any} module of Emscripten
 * @param {[string, Uint8Array<ArrayBuffer>][]} packages
 * @param {Library[]} libraries
 */
function install(module, packages, libraries) {
  const made = new Set();
  for (const [name, content] of packages) {
    const path = PACKAGES + name;
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(folder)) module.FS.mkdirTree(folder);
    made.add(folder);
    module.FS.writeFile(path, content, { canOwn: true });
  }
  for (const { path, module: code } of libraries) {
    const library = module.newDSO(path, undefined, "loading");
    library.refcount = Infinity;
    library.global = false;
    library.exports = module.loadWebAssemblyModule(code, {}, path, {});
  }
}

/**
 * Answer what Pyodide fetches by itself with what is there already. It has no option for it.
 * @param {Uint8Array<ArrayBuffer> | null} stdlib
 * @param {WebAssembly.Module} main
 * @returns {() => void} puts the browser's own functions back
 */
function answerPyodide(stdlib, main) {
  const { fetch } = self;
  const { instantiateStreaming, Module } = WebAssembly;
  const answers = new Map([
    [new URL(STDLIB, BASE).href, stdlib],
    [new URL(WASM, BASE).href, null],
  ]);
  self.fetch = async (input, init) => {
    const asked = new URL(input instanceof Request ? input.url : String(input), BASE).href;
    return answers.has(asked) ? new Response(answers.get(asked)) : fetch.call(self, input, init);
  };
  WebAssembly.instantiateStreaming = async (_, imports) => ({
    module: main,
    instance: await WebAssembly.instantiate(main, imports),
  });
  WebAssembly.Module = /** @type {any} */ (onceEach(Module));
  return () => {
    self.fetch = fetch;
    Object.assign(WebAssembly, { instantiateStreaming, Module });
  };
}

/**
 * Emscripten makes a module for each of some 250 functions of JavaScript that it hands to WebAssembly. Those of one
 * signature are equal.
 * @param {typeof WebAssembly.Module} Module
 */
function onceEach(Module) {
  /** @type {Map<string, WebAssembly.Module>} */
  const made = new Map();
  return new Proxy(Module, {
    construct(_, [bytes]) {
      if (!(bytes.length <= SMALL_BYTES)) return new Module(bytes); // Of an ArrayBuffer, too.
      const key = String.fromCharCode(...bytes);
      const module = made.get(key) ?? new Module(bytes);
      made.set(key, module);
      return module;
    },
  });
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
