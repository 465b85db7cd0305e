// @ts-check
// The loader: Pyodide, numpy and the pure wheel of `wasm_detector`, from the folder that the worker lies in.
import { Code, ScreeningError, Tell } from "./protocol.js";

/** @typedef {import("./protocol.js").FromWorker} FromWorker */

// Set by the build: sha256 and size of every file that is checked, and the lockfile for the two packages.
const FILES = /** @type {Record<string, {sha256: string, bytes: number}>} */ (__FILES__);
const LOCKFILE = __LOCKFILE__;

const LOADING_EVERY_MS = 100;
const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const BASE = new URL("./", import.meta.url);

/**
 * Fetch everything side by side, start Python, import the detector.
 * @param {(message: FromWorker) => void} tell
 * @returns {Promise<any>} the Python module `wasm_detector.browser`
 */
export async function start(tell) {
  const { restore, failed } = serveChecked(tell);
  try {
    new WebAssembly.Module(EMPTY_MODULE); // Pyodide would wait for ever where a policy forbids WebAssembly.
    const [{ loadPyodide }] = await Promise.all([
      import(/** @type {any} */ ("./pyodide.mjs")),
      import(/** @type {any} */ ("./pyodide.asm.mjs")), // Pyodide imports it later by the same address.
    ]);
    const starting = loadPyodide({
      indexURL: BASE.href,
      lockFileContents: LOCKFILE,
      packageBaseUrl: BASE.href,
      packages: ["numpy", "wasm-detector"],
      stdout: () => {},
      stderr: () => {},
    });
    const pyodide = await Promise.race([starting, failed]); // It waits for ever for a file that did not come.
    const detector = pyodide.pyimport("wasm_detector.browser");
    tell({ kind: Tell.READY, detector: plain(detector.describe()) });
    return detector;
  } catch (error) {
    if (error instanceof ScreeningError) throw error;
    throw new ScreeningError(Code.LOAD, String(error));
  } finally {
    restore();
  }
}

/**
 * Answer Pyodide's own fetches from downloads that start at once, report their bytes and are checked against the
 * sums of the build. Pyodide has no option for any of the three.
 * @param {(message: FromWorker) => void} tell
 * @returns {{restore: () => void, failed: Promise<never>}} `restore` puts the ordinary `fetch` back; `failed` rejects
 *   with the first download that failed
 */
function serveChecked(tell) {
  const ordinary = self.fetch;
  const report = progressOfBytes(tell);
  const ready = new Map(Object.keys(FILES).map((name) => [new URL(name, BASE).href, fetchChecked(name, report)]));
  const failed = new Promise((_, reject) => ready.forEach((download) => download.catch(reject)));
  failed.catch(() => {}); // Raced against the start below, or never looked at: both are fine.
  self.fetch = (input, init) => {
    const address = new URL(input instanceof Request ? input.url : String(input), BASE).href;
    return ready.get(address) ?? ordinary.call(self, input, init);
  };
  return { failed: /** @type {Promise<never>} */ (failed), restore: () => (self.fetch = ordinary) };
}

/**
 * @param {(message: FromWorker) => void} tell
 * @returns {(bytes: number) => void} adds up bytes and tells the page, at most ten times a second
 */
function progressOfBytes(tell) {
  const total = Object.values(FILES).reduce((sum, file) => sum + file.bytes, 0);
  let loaded = 0;
  let told = 0;
  return (bytes) => {
    loaded += bytes;
    if (loaded < total && performance.now() - told < LOADING_EVERY_MS) return;
    told = performance.now();
    tell({ kind: Tell.LOADING, loaded, total });
  };
}

/**
 * @param {string} name
 * @param {(bytes: number) => void} report
 * @returns {Promise<Response>}
 */
async function fetchChecked(name, report) {
  const { sha256, bytes } = FILES[name];
  // crypto.subtle exists only on secure origins. Elsewhere the browser checks, without progress inside the file.
  const init = crypto.subtle ? {} : { integrity: `sha256-${base64(sha256)}` };
  const response = await fetch(new URL(name, BASE), init);
  if (!response.ok || !response.body) throw new ScreeningError(Code.LOAD, `${name}: HTTP ${response.status}`);
  const content = await collect(response.body, bytes, report);
  if (crypto.subtle && hex(await crypto.subtle.digest("SHA-256", content)) !== sha256) {
    throw new ScreeningError(Code.LOAD, `${name} is not the file that this page was built with`);
  }
  const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(content, { headers: { "Content-Type": type } });
}

/**
 * @param {ReadableStream<Uint8Array>} stream
 * @param {number} size expected bytes; a longer answer is cut off, so that its sum cannot match
 * @param {(bytes: number) => void} report
 */
async function collect(stream, size, report) {
  const content = new Uint8Array(size);
  const reader = stream.getReader();
  let filled = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return content;
    if (filled + value.length > size) throw new ScreeningError(Code.LOAD, "A file is longer than it was built");
    content.set(value, filled);
    filled += value.length;
    report(value.length);
  }
}

/** @param {ArrayBuffer} digest */
const hex = (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string} sha256 hex */
const base64 = (sha256) => btoa(sha256.replace(/../g, (pair) => String.fromCharCode(parseInt(pair, 16))));

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
