// @ts-check
// Listening to one file, from the challenge to the outcome; also without an element, for upload libraries.

import { Code, ScreeningError } from "../protocol.js";
import { Session } from "./session.js";

/** @typedef {import("../protocol.js").Outcome} Outcome */
/** @typedef {import("../protocol.js").Progress} Progress */
/** @typedef {import("../protocol.js").Result} Result */
/** @typedef {import("./client.js").Client} Client */
/**
 * @typedef {{
 *   action?: string,
 *   session?: string | null,
 *   test?: string | null,
 *   endpoint?: string,
 *   maxSeconds?: number,
 *   signal?: AbortSignal,
 *   onProgress?: (progress: Progress) => void,
 * }} ScreenOptions
 */

// How long a recording waits for a server that is slow to say what else to listen for.
const CHALLENGE_MS = 2_000;
// A detector that weighs the site's own signals cannot do without.
const NEEDS_EXTENSIONS = Boolean(__DETECTOR__.requires?.length);
export const MAX_SECONDS = 120;

/**
 * @param {{client: Client, session: Session}} tools
 * @param {File} file
 * @param {{test: string | null, maxSeconds: number, provenance?: boolean, signal?: AbortSignal,
 *   onProgress?: (progress: Progress) => void}} options `provenance`: the result tells what the file's own notes say
 * @returns {Promise<Outcome>}
 * @throws {import("../protocol.js").ScreeningError}
 */
export async function listen({ client, session }, file, { test, maxSeconds, provenance, signal, onProgress }) {
  const asked = session.settings(signal); // Early; sealing asks again.
  const tried = asked.catch(() => {});
  if (test) await tried;
  else client.warm(); // Meanwhile the challenge tells which signals the site has besides.
  await Promise.race([tried, NEEDS_EXTENSIONS ? tried : new Promise((resolve) => setTimeout(resolve, CHALLENGE_MS))]);
  if (test && session.fixed) return session.fixedOutcome(file);
  if (NEEDS_EXTENSIONS && !signal?.aborted) await asked.catch(unloaded);
  const most = Math.min(maxSeconds || MAX_SECONDS, session.ui.max_seconds ?? Infinity);
  const outcome = await client.screen(file, { maxSeconds: most, extensions: session.extensions, signal, onProgress });
  if (provenance) outcome.result.provenance = outcome.provenance;
  return outcome;
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function unloaded(error) {
  throw new ScreeningError(Code.LOAD, `the challenge, which lists signals that the detector needs, did not come: ${error}`);
}

/**
 * @param {Client} client
 * @param {File} file
 * @param {ScreenOptions} options
 * @param {URL} endpoint
 * @returns {Promise<{token: string, result: Result}>} an empty token where the server could not seal
 * @throws {import("../protocol.js").ScreeningError}
 */
export async function screen(client, file, options, endpoint) {
  const { action = "voice-upload", session: bound = null, test = null, maxSeconds = 0, signal, onProgress } = options;
  const session = new Session(endpoint, () => ({ action, session: bound, test }));
  const outcome = await listen({ client, session }, file, { test, maxSeconds, signal, onProgress });
  const sealed = await session.seal(file, outcome, signal).catch(() => null);
  return { token: sealed?.token ?? "", result: outcome.result };
}
