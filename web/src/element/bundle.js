// @ts-check
// What loads on intent, once for a page: the client, the panel and the sentences. They lie in a folder named by the
// hash of its contents, beside this script.

/** @typedef {Record<string, string>} Catalogue */
/**
 * @typedef {{
 *   client: import("../client/client.js").Client,
 *   Session: typeof import("../client/session.js").Session,
 *   CheckList: typeof import("../client/check-list.js").CheckList,
 *   Renewal: typeof import("../client/renewal.js").Renewal,
 *   Recorder: typeof import("../client/recorder.js").Recorder,
 *   listen: typeof import("../client/screen.js").listen,
 *   screen: typeof import("../client/screen.js").screen,
 *   sharedClient: typeof import("../client/client.js").sharedClient,
 *   panel: typeof import("../panel/panel.js"),
 *   catalogue: Catalogue,
 * }} Parts
 */

/** Where the script lies: the API and the bundle are beside it. */
export const HERE = new URL(".", import.meta.url);
/** The few sentences that are shown before anything loads, in English. @type {Catalogue} */
export const EARLY = __EARLY__;

const FOLDER = new URL(__BUNDLE__, HERE);

/** @typedef {Omit<Parts, "catalogue">} Code */
/** @type {Promise<Code> | null} */
let code = null;
/** @type {Map<string, Promise<Catalogue>>} */
const catalogues = new Map();

/**
 * @param {string} language
 * @returns {Promise<Parts>} the lazy parts; after a failure the next call tries again
 */
export async function loadParts(language) {
  code ??= loadCode().catch((error) => {
    code = null;
    throw error;
  });
  const words = sentences(language).catch(() => sentences("en")).catch(() => EARLY); // Never what a check fails by.
  const [parts, catalogue] = await Promise.all([code, words]);
  return { ...parts, catalogue };
}

/** @returns {Promise<Code>} */
async function loadCode() {
  const [client, panel] = await Promise.all([
    /** @type {Promise<typeof import("../client/client.js")>} */ (import(new URL("client.js", FOLDER).href)),
    /** @type {Promise<typeof import("../panel/panel.js")>} */ (import(new URL("panel.js", FOLDER).href)),
  ]);
  return { ...client, client: client.sharedClient(new URL("worker.js", FOLDER)), panel };
}

/**
 * @param {string} language
 * @returns {Promise<Catalogue>} every sentence of the element
 */
export function sentences(language) {
  return fetched(`locales/${language}.json`);
}

/**
 * @param {string} language
 * @returns {Promise<Catalogue>} what is shown before anything loads; English where the language cannot be had
 */
export async function earlySentences(language) {
  if (language === "en") return EARLY;
  return fetched(`locales/early/${language}.json`).catch(() => EARLY);
}

/**
 * @param {string} name
 * @returns {Promise<Catalogue>}
 */
function fetched(name) {
  let known = catalogues.get(name);
  if (!known) {
    known = load(new URL(name, FOLDER)).catch((error) => {
      catalogues.delete(name);
      throw error;
    });
    catalogues.set(name, known);
  }
  return known;
}

/**
 * @param {URL} address
 * @returns {Promise<Catalogue>}
 */
async function load(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname}: HTTP ${response.status}`);
  return response.json();
}
