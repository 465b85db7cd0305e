// @ts-check
// Python's memory as it was when it had just started, kept by the visitor's own browser for the next visit. It never
// crosses a network, holds nothing of any recording, and is only ever a shortcut: whatever goes wrong, the start is
// the ordinary one.
//
// It lies in the origin's private file system, because a worker reads from there straight into Python's memory. The
// file: how long the header is (4 bytes; 0 until all the rest is on the disk), the header, Pyodide's own state, pages.

/** @typedef {{read: (into: ArrayBufferView, options: {at: number}) => number, flush: () => void, close: () => void,
 *   write: (from: ArrayBufferView, options: {at: number}) => number, truncate: (size: number) => void,
 *   getSize: () => number}} Access the part of FileSystemSyncAccessHandle that is used here */
/** @typedef {{browser: string, golden: string, heapBytes: number, stateBytes: number, runs: [number, number][],
 *   sum: number}} Header `runs` are the [start, end) of memory that the pages hold, the rest is 0 */
/** @typedef {{golden: string, state: Uint8Array<ArrayBuffer>, fill: (module: any) => void | Promise<void>, close: () => void}} Snapshot
 *   `fill` writes it into the memory of a module that has not run yet, and throws where it is damaged */

const FOLDER = "prelisten-snapshots";
const PAGE = 1 << 12;
const LENGTH_BYTES = 4;
const HEADER_BYTES = 1 << 20; // More than any header has.
const STRIDE = 5; // Numbers of 4 bytes: one of each 20 bytes is summed, in a few milliseconds for all.
const NAME = new URL("./", import.meta.url).pathname.split("/").at(-2) ?? ""; // A hash of the bundle's files.
const TRIED = `${NAME}.tried`; // There while a start tries the snapshot: one that hung or crashed leaves it behind.

/** @returns {Promise<Snapshot | null>} what an earlier visit kept, to be closed; null where it is not worth a try */
export async function find() {
  try {
    const folder = await openFolder();
    if (await has(folder, TRIED)) {
      await forget();
      return null;
    }
    const access = await openFile(folder, { mode: "read-only" }); // Several pages may read at once.
    const snapshot = open(access);
    if (!snapshot) access.close();
    return snapshot;
  } catch {
    return null; // Nothing was kept, or nothing can be: an insecure origin, a private window, or a person's setting.
  }
}

/** Note that the snapshot is being tried, until it is trusted or forgotten. */
export async function mark() {
  await (await openFolder()).getFileHandle(TRIED, { create: true });
}

/** Say that the snapshot was of use. Never throws. */
export async function trust() {
  await remove(TRIED);
}

/** Delete the snapshot of this bundle. Never throws. */
export async function forget() {
  await Promise.all([remove(NAME), remove(TRIED)]);
}

/**
 * Keep a snapshot, and delete those of other bundles. Never throws: there may be no room.
 * @param {Uint8Array<ArrayBuffer>} memory as Pyodide gives it
 * @param {string} golden what the detector said of its golden clip
 */
export async function keep(memory, golden) {
  try {
    const folder = await openFolder();
    for await (const name of folder.keys()) if (name !== NAME) await folder.removeEntry(name);
    const access = await openFile(folder, {}, { create: true });
    try {
      write(access, memory, golden);
    } finally {
      access.close();
    }
  } catch (error) {
    await remove(NAME);
    console.info(`No snapshot of the runtime is kept: ${error}`);
  }
}

/** @returns {Promise<any>} the folder of all snapshots */
async function openFolder() {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}

/**
 * @param {any} folder
 * @param {object} access
 * @param {object} [options]
 * @returns {Promise<Access>}
 */
async function openFile(folder, access, options) {
  return (await folder.getFileHandle(NAME, options)).createSyncAccessHandle(access);
}

/**
 * @param {any} folder
 * @param {string} name
 */
async function has(folder, name) {
  return folder.getFileHandle(name).then(
    () => true,
    () => false,
  );
}

/** @param {string} name */
async function remove(name) {
  try {
    await (await openFolder()).removeEntry(name);
  } catch {
    // It is not there, or another page has it open.
  }
}

/**
 * @param {Access} access
 * @returns {Snapshot | null} null where it is not whole, or another browser's
 */
function open(access) {
  const content = new Uint8Array(Math.min(access.getSize(), HEADER_BYTES));
  access.read(content, { at: 0 });
  const [length] = new Uint32Array(content.buffer, 0, 1);
  const start = LENGTH_BYTES + length;
  if (!length || start > content.length) return null;
  /** @type {Header} */
  const header = JSON.parse(new TextDecoder().decode(content.subarray(LENGTH_BYTES, start)));
  const { browser, golden, stateBytes, runs } = header;
  const pages = start + stateBytes;
  const size = runs.reduce((sum, [from, to]) => sum + to - from, pages);
  if (browser !== navigator.userAgent || size !== access.getSize()) return null;
  return {
    golden,
    // Pyodide reads its own part by numbers of 32 bits: it has to begin at a multiple of them.
    state: content.slice(start, pages),
    fill: (module) => fill(module, header, access, pages),
    close: () => access.close(),
  };
}

/**
 * @param {any} module of Emscripten
 * @param {Header} header
 * @param {Access} access
 * @param {number} at where the pages begin
 */
function fill(module, { heapBytes, runs, sum }, access, at) {
  if (module.HEAPU8.length < heapBytes) module.growMemory(heapBytes);
  const heap = module.HEAPU8;
  let cleared = 0;
  for (const [start, end] of runs) {
    heap.fill(0, cleared, start);
    at += access.read(heap.subarray(start, end), { at });
    cleared = end;
  }
  heap.fill(0, cleared);
  if (sumOf(heap, runs) !== sum) throw new Error("its memory is damaged");
}

/**
 * @param {Access} access
 * @param {Uint8Array<ArrayBuffer>} memory Pyodide's own header, whose second number is its length, and the heap
 * @param {string} golden
 */
function write(access, memory, golden) {
  const [, stateBytes] = new Uint32Array(memory.buffer, memory.byteOffset, 2);
  const heap = memory.subarray(stateBytes);
  const runs = usedRuns(heap);
  const [browser, heapBytes, sum] = [navigator.userAgent, heap.length, sumOf(heap, runs)];
  const header = new TextEncoder().encode(JSON.stringify({ browser, golden, heapBytes, stateBytes, runs, sum }));
  const parts = [header, memory.subarray(0, stateBytes), ...runs.map(([from, to]) => heap.subarray(from, to))];
  access.truncate(0);
  let at = LENGTH_BYTES;
  for (const part of parts) at += access.write(part, { at });
  if (at !== parts.reduce((sum, part) => sum + part.length, LENGTH_BYTES)) throw new Error("no room");
  access.flush();
  access.write(new Uint32Array([header.length]), { at: 0 });
  access.flush();
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
 * @param {Uint8Array<ArrayBuffer>} heap
 * @param {[number, number][]} runs
 * @returns {number} what lost and exchanged blocks of a disk change; a sum of every bit costs 25 ms
 */
function sumOf(heap, runs) {
  let [plain, weighed] = [1, 0];
  for (const [start, end] of runs) {
    const words = new Int32Array(heap.buffer, heap.byteOffset + start, (end - start) / 4);
    for (let i = 0; i < words.length; i += STRIDE) {
      plain = (plain + words[i]) | 0;
      weighed = (weighed + plain) | 0;
    }
  }
  return weighed;
}
