// @ts-check
// What loads on intent, once for a page: the client, the panel and the sentences. They lie in a folder named by the
// hash of its contents, beside this script.

/** @typedef {Record<string, string>} Catalogue */
/**
 * @typedef {{
 *   client: import("./client.js").Client,
 *   Session: typeof import("./session.js").Session,
 *   panel: typeof import("./panel.js"),
 *   catalogue: Catalogue,
 * }} Parts
 */

/** Where the script lies: the API and the bundle are beside it. */
export const HERE = new URL(".", import.meta.url);
export const DETECTOR = __DETECTOR__;
/** The few sentences that are shown before anything loads. @type {Catalogue} */
export const EARLY = __EARLY__;

const FOLDER = new URL(__BUNDLE__, HERE);

/** @type {Promise<Parts> | null} */
let parts = null;

/** @returns {Promise<Parts>} the lazy parts; after a failure the next call tries again */
export function loadParts() {
  parts ??= load().catch((error) => {
    parts = null;
    throw error;
  });
  return parts;
}

async function load() {
  const [{ sharedClient, Session }, panel, catalogue] = await Promise.all([
    /** @type {Promise<typeof import("./client.js")>} */ (import(new URL("client.js", FOLDER).href)),
    /** @type {Promise<typeof import("./panel.js")>} */ (import(new URL("panel.js", FOLDER).href)),
    sentences(new URL("locales/en.json", FOLDER)),
  ]);
  return { client: sharedClient(FOLDER), Session, panel, catalogue };
}

/**
 * @param {URL} address
 * @returns {Promise<Catalogue>}
 */
async function sentences(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname}: HTTP ${response.status}`);
  return response.json();
}
