// @ts-check
// Python's memory as it was when it had just started, kept by the visitor's own browser for the next visit. It never
// crosses a network, holds nothing of any recording, and is only ever a shortcut: whatever goes wrong, the start is
// the ordinary one.
import { sha256Of } from "./downloads.js";

/** @typedef {{golden: string, heapBytes: number, state: Uint8Array<ArrayBuffer>, runs: [number, number][],
 *   pages: Uint8Array<ArrayBuffer>}} Snapshot `runs` are the [start, end) of memory that `pages` hold, the rest is 0 */

const CACHE = "prelisten-snapshots";
const PAGE = 1 << 12;
const LENGTH_BYTES = 4;
// Another bundle, browser or version of it: another name. What has another name is never read, and is deleted.
const NAME = new URL(`snapshot-1/${encodeURIComponent(navigator.userAgent)}`, import.meta.url).href;
const TRIED = `${NAME}/tried`; // There while a start tries the snapshot: one that hung or crashed leaves it behind.

/** @returns {Promise<Response | null>} what an earlier visit kept, unread; null where there is none */
export async function find() {
  try {
    return (await (await caches.open(CACHE)).match(NAME)) ?? null;
  } catch {
    return null; // No Cache API: an insecure origin, a private window, or a person's setting.
  }
}

/**
 * @param {Response} found
 * @returns {Promise<Snapshot | null>} null where it is not worth a try
 */
export async function read(found) {
  const cache = await caches.open(CACHE);
  const marking = cache.match(TRIED).then(async (tried) => tried ?? (cache.put(TRIED, new Response()), null));
  const content = new Uint8Array(await found.arrayBuffer());
  const [tried, sha256] = await Promise.all([marking, sha256Of(content)]);
  return !tried && sha256 === found.headers.get("X-Sha256") ? parse(content) : null;
}

/** Say that the snapshot was of use. Never throws. */
export async function trust() {
  await remove(TRIED);
}

/** Delete the snapshot of this bundle. Never throws. */
export async function forget() {
  await Promise.all([remove(NAME), remove(TRIED)]);
}

/** @param {string} name */
async function remove(name) {
  try {
    await (await caches.open(CACHE)).delete(name);
  } catch {
    // No Cache API: an insecure origin, a private window, or a person's setting.
  }
}

/**
 * Keep a snapshot, and delete those of other bundles. Never throws: there may be no room.
 * @param {Uint8Array<ArrayBuffer>} memory as Pyodide gives it
 * @param {string} golden what the detector said of its golden clip
 */
export async function keep(memory, golden) {
  try {
    const content = pack(memory, golden);
    const headers = { "X-Sha256": await sha256Of(content), "Content-Type": "application/octet-stream" };
    const cache = await caches.open(CACHE);
    for (const { url } of await cache.keys()) if (url !== NAME) await cache.delete(url);
    await cache.put(NAME, new Response(content, { headers }));
  } catch (error) {
    console.info(`No snapshot of the runtime is kept: ${error}`);
  }
}

/**
 * Write a snapshot into the memory of a module that has not run yet.
 * @param {any} module of Emscripten
 * @param {Snapshot} snapshot
 */
export function fill(module, { heapBytes, runs, pages }) {
  if (module.HEAPU8.length < heapBytes) module.growMemory(heapBytes);
  const heap = module.HEAPU8;
  heap.fill(0);
  let at = 0;
  for (const [start, end] of runs) {
    heap.set(pages.subarray(at, at + end - start), start);
    at += end - start;
  }
}

/**
 * @param {Uint8Array<ArrayBuffer>} memory Pyodide's own header, whose second number is its length, and the heap
 * @param {string} golden
 */
function pack(memory, golden) {
  const [, stateBytes] = new Uint32Array(memory.buffer, memory.byteOffset, 2);
  const heap = memory.subarray(stateBytes);
  const runs = usedRuns(heap);
  const header = new TextEncoder().encode(JSON.stringify({ golden, heapBytes: heap.length, stateBytes, runs }));
  const length = new Uint8Array(new Uint32Array([header.length]).buffer);
  const parts = [length, header, memory.subarray(0, stateBytes), ...runs.map(([from, to]) => heap.subarray(from, to))];
  const content = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return content;
}

/**
 * @param {Uint8Array<ArrayBuffer>} heap
 * @returns {[number, number][]} the stretches of pages that are not all zeros
 */
function usedRuns(heap) {
  /** @type {[number, number][]} */
  const runs = [];
  for (let page = 0; page < heap.length; page += PAGE) {
    if (isZero(new BigUint64Array(heap.buffer, heap.byteOffset + page, PAGE / 8))) continue;
    const last = runs.at(-1);
    if (last?.[1] === page) last[1] = page + PAGE;
    else runs.push([page, page + PAGE]);
  }
  return runs;
}

/** @param {BigUint64Array} words */
function isZero(words) {
  for (let i = 0; i < words.length; i += 1) if (words[i]) return false;
  return true;
}

/**
 * @param {Uint8Array<ArrayBuffer>} content
 * @returns {Snapshot}
 */
function parse(content) {
  const [length] = new Uint32Array(content.buffer, 0, 1);
  const start = LENGTH_BYTES + length;
  const { stateBytes, ...header } = JSON.parse(new TextDecoder().decode(content.subarray(LENGTH_BYTES, start)));
  // Pyodide reads its own part by numbers of 32 bits: it has to begin at a multiple of them.
  const state = content.slice(start, start + stateBytes);
  return { ...header, state, pages: content.subarray(start + stateBytes) };
}
