// @ts-check
// The operator's own signals: wheels that the challenge lists, fetched from our own origin and installed by micropip.

/** @typedef {import("../protocol.js").Listed} Listed */
/** @typedef {import("../protocol.js").Extensions} Extensions */

const FOLDER = new URL("../../x/", import.meta.url);
const LOAD_MS = 15_000;

/** What was installed, or is being; a failure is tried again with the next recording. @type {Map<string, Promise<void>>} */
const installing = new Map();

/**
 * Install what is listed. Never throws: what is missing then is told among the reasons.
 * @param {any} detector
 * @param {Extensions} extensions
 */
export async function install(detector, { installer, wheels }) {
  try {
    await Promise.all(installer.map((file) => once(file, async () => add(detector.add_installer, file))));
    for (const wheel of wheels) {
      await once(wheel, () => add(detector.install_extension, wheel)).catch((error) => console.warn(String(error)));
    }
  } catch (error) {
    console.warn(String(error));
  }
}

/**
 * @param {Listed} file
 * @param {() => Promise<void>} action
 */
function once({ sha256 }, action) {
  const found = installing.get(sha256) ?? action();
  installing.set(sha256, found);
  found.catch(() => installing.delete(sha256));
  return found;
}

/**
 * @param {any} take a function of the detector, which compares the bytes with the digest
 * @param {Listed} listed
 */
async function add(take, { file, sha256 }) {
  const address = new URL(`${sha256}/${encodeURIComponent(file)}`, FOLDER);
  const response = await fetch(address, { signal: AbortSignal.timeout(LOAD_MS) });
  if (!response.ok) throw new Error(`${file}: HTTP ${response.status}`);
  await take(new Uint8Array(await response.arrayBuffer()), file, sha256);
}
