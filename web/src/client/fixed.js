// @ts-check
// The test mode: eight outcomes that are known beforehand, for the tests of a page that embeds the element. Works only
// where the server says that it runs test keys; nothing is loaded and nothing is listened to.
import { Code, ScreeningError } from "../protocol.js";

/** @typedef {import("../protocol.js").Outcome} Outcome */
/** @typedef {import("../protocol.js").Band} Band */

/** Outcomes that are failures here: as in life, the form then goes without a hint. @type {Record<string, string>} */
const FAILURES = { error: Code.FAILED, timeout: Code.TIMEOUT, unsupported: Code.UNSUPPORTED };

/** The others, with the score that is shown. `expired` is one for the server. @type {Record<string, [Band, number|null]>} */
const BANDS = {
  clear: ["clear", 0.1],
  elevated: ["elevated", 0.6],
  expired: ["clear", 0.1],
  high: ["high", 0.95],
  inconclusive: ["inconclusive", null],
};
const SECONDS = 8;

/** @param {string} name */
export function isFixed(name) {
  return Object.hasOwn(FAILURES, name) || Object.hasOwn(BANDS, name);
}

/**
 * @param {string} name one of the eight
 * @param {File} file the claim is about this very file, so that its token is as good as any
 * @param {{id: string, sha256: string}} detector as the challenge names it
 * @returns {Promise<Outcome>}
 * @throws {ScreeningError} where the outcome is a failure
 */
export async function fixedOutcome(name, file, detector) {
  if (Object.hasOwn(FAILURES, name)) throw new ScreeningError(FAILURES[name], `test="${name}"`);
  const [band, score] = BANDS[name];
  const ms = 1000 * SECONDS;
  return {
    result: {
      spoof_score: score,
      band,
      reasons: [],
      segments: [0, SECONDS / 2].map((start) => ({ start_s: start, end_s: start + SECONDS / 2, spoof_score: score })),
      coverage: { analysed_s: SECONDS, total_s: SECONDS, speech_s: SECONDS },
      detector: detector.id,
    },
    claim: {
      band,
      q: score === null ? null : Math.round(1000 * score),
      reasons: [],
      cov: { analysed_ms: ms, total_ms: ms },
      exact: {},
      near: { seg: "", stat: [] },
    },
    sha256: await sha256(file),
    decoder: "test",
    rate: 0,
    detector,
    times: {},
  };
}

/**
 * @param {File} file
 * @returns {Promise<string>} hex
 */
async function sha256(file) {
  if (!crypto.subtle) {
    throw new ScreeningError(Code.UNSUPPORTED, "test mode hashes with crypto.subtle: use HTTPS or localhost");
  }
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
