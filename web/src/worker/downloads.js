// @ts-check
// The files of the first load: asked for side by side, their bytes told, each compared with the sum of the build.
import { Code, ScreeningError, Tell } from "../protocol.js";

/** @typedef {import("../protocol.js").FromWorker} FromWorker */
/** @typedef {{sha256: string, bytes: number}} Pinned */
/** @typedef {{content: Promise<Uint8Array<ArrayBuffer>>, module?: Promise<WebAssembly.Module>}} Download */

const LOADING_EVERY_MS = 100;

export class Downloads {
  /** @type {Map<string, Download>} */
  #begun = new Map();
  #fail = (/** @type {unknown} */ _) => {};
  /** Rejects with the first download that failed, so that nothing waits for the others. @type {Promise<never>} */
  failed = new Promise((_, reject) => (this.#fail = reject));

  /**
   * @param {Record<string, Pinned>} files
   * @param {URL} base the folder that they lie in
   * @param {(message: FromWorker) => void} tell
   */
  constructor(files, base, tell) {
    this.files = files;
    this.base = base;
    this.report = progressOfBytes(files, tell);
    this.failed.catch(() => {}); // Raced against the start, or never looked at: both are fine.
  }

  /**
   * Begin all of these that have not been asked for.
   * @param {string[]} names
   */
  ask(names) {
    for (const name of names) {
      if (this.#begun.has(name)) continue;
      const begun = download(new URL(name, this.base).href, this.files[name], this.report);
      begun.content.catch(this.#fail);
      begun.module?.catch(this.#fail);
      this.#begun.set(name, begun);
    }
  }

  /**
   * Count these as loaded: this start does without.
   * @param {string[]} names
   */
  spare(names) {
    for (const name of names) this.report(this.files[name].bytes);
  }

  /** @param {string} name of a file that was asked for */
  get(name) {
    return /** @type {Download} */ (this.#begun.get(name));
  }
}

/**
 * @param {Record<string, Pinned>} files
 * @param {(message: FromWorker) => void} tell
 * @returns {(bytes: number) => void} adds up bytes and tells the page, at most ten times a second
 */
function progressOfBytes(files, tell) {
  const total = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
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
 * @param {string} address
 * @param {Pinned} pinned
 * @param {(bytes: number) => void} report
 * @returns {Download} of a `.wasm` also the module: compiled while it comes, handed out when its sum was right
 */
function download(address, pinned, report) {
  const response = ask(address, pinned);
  if (!address.endsWith(".wasm")) return { content: response.then((it) => check(it, address, pinned, report)) };
  const copy = response.then((it) => it.clone());
  const content = copy.then(async () => check(await response, address, pinned, report));
  const compiled = WebAssembly.compileStreaming(copy).catch(async () => WebAssembly.compile(await content));
  return { content, module: content.then(() => compiled) };
}

/**
 * @param {string} address
 * @param {Pinned} pinned
 */
async function ask(address, { sha256 }) {
  // crypto.subtle exists only on secure origins. Elsewhere the browser checks, without progress inside the file.
  const response = await fetch(address, crypto.subtle ? {} : { integrity: `sha256-${base64(sha256)}` });
  if (!response.ok || !response.body) throw new ScreeningError(Code.LOAD, `${address}: HTTP ${response.status}`);
  return response;
}

/**
 * @param {Response} response
 * @param {string} address
 * @param {Pinned} pinned
 * @param {(bytes: number) => void} report
 */
async function check(response, address, { sha256, bytes }, report) {
  const content = await collect(/** @type {ReadableStream<Uint8Array>} */ (response.body), bytes, report);
  if (crypto.subtle && (await sha256Of(content)) !== sha256) {
    throw new ScreeningError(Code.LOAD, `${address} is not the file that this page was built with`);
  }
  return content;
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

/**
 * @param {BufferSource} content
 * @returns {Promise<string>} hex
 */
export async function sha256Of(content) {
  const digest = await crypto.subtle.digest("SHA-256", content);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} sha256 hex */
const base64 = (sha256) => btoa(sha256.replace(/../g, (pair) => String.fromCharCode(parseInt(pair, 16))));
