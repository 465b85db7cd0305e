// @ts-check
// Listening to one file, from the challenge to the outcome; also without an element, for upload libraries.

/** @typedef {import("./protocol.js").Outcome} Outcome */
/** @typedef {import("./protocol.js").Progress} Progress */
/** @typedef {import("./protocol.js").Result} Result */
/** @typedef {{client: import("./client.js").Client, session: import("./session.js").Session}} Tools */
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
export const MAX_SECONDS = 120;

/**
 * @param {Tools} tools
 * @param {File} file
 * @param {{test: string | null, maxSeconds: number, signal?: AbortSignal, onProgress?: (progress: Progress) => void}} options
 * @returns {Promise<Outcome>}
 * @throws {import("./protocol.js").ScreeningError}
 */
export async function listen({ client, session }, file, { test, maxSeconds, signal, onProgress }) {
  const asked = session.challenge(signal).catch(() => {}); // Early, for its settings; sealing asks again.
  if (test) await asked;
  else client.warm(); // Meanwhile the challenge tells which signals the site has besides.
  await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, CHALLENGE_MS))]);
  if (test && session.fixed) return session.fixedOutcome(file);
  const most = Math.min(maxSeconds || MAX_SECONDS, session.ui.max_seconds ?? Infinity);
  return client.screen(file, { maxSeconds: most, extensions: session.extensions, signal, onProgress });
}
