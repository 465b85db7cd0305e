// @ts-check
// Screening without an element, for upload libraries.
import { HERE, loadParts } from "./bundle.js";
import { languageOf } from "./language.js";

/**
 * @param {string | null | undefined} endpoint
 * @returns {URL} the folder of the API
 */
export function endpointOf(endpoint) {
  return endpoint ? new URL(`${endpoint.replace(/\/$/, "")}/`, document.baseURI) : HERE;
}

/**
 * Screen and seal one file without an element, for an upload library. The server learns of the file at once.
 * @param {File} file
 * @param {import("../client/screen.js").ScreenOptions} [options]
 * @returns {Promise<{token: string, result: import("../protocol.js").Result}>} an empty token where the server
 *   could not seal
 * @throws {import("../protocol.js").ScreeningError} where the file could not be listened to; upload it all the same
 */
export async function screen(file, options = {}) {
  const parts = await loadParts(languageOf(document.documentElement));
  return parts.screen(parts.client, file, options, endpointOf(options.endpoint));
}

/** Load the detector: somebody is about to choose a file, without an element. Sends nothing about one. */
export async function warm() {
  const { client } = await loadParts(languageOf(document.documentElement));
  client.warm();
}
