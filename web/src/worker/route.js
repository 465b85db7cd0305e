// @ts-check
// Who decodes: WebCodecs in the worker, piece by piece, where the browser has it for this file; else the page, a short
// recording all at once, a longer one cut into small files.
import { Code, ScreeningError } from "../protocol.js";

/** @typedef {import("./media.js").Media} Media */
/** @typedef {import("../protocol.js").Probe} Probe */

// The page may know what this file is although no decoder was found here.
const ASK_THE_PAGE = ["unsupported", "undecodable"];
// WebKitGTK 2.50 beside GLib before 2.76 (Debian 12, Ubuntu 22.04) frees what it must not in `AudioData.copyTo`: the whole
// page dies, form and all, and nothing that a page may ask tells these from others.
const MAY_DIE = /Linux(?!.*Chrom).*AppleWebKit/;

/**
 * @param {File} file
 * @param {Probe} probe
 * @param {() => void} [check] called now and then; what it throws ends the opening
 * @returns {Promise<Media | null>} null where the page is to decode
 * @throws {ScreeningError} for what nobody can hear
 */
export async function openHere(file, probe, check) {
  if (typeof AudioDecoder !== "function" || MAY_DIE.test(navigator.userAgent)) return null;
  try {
    const { openMedia } = await import("./media.js");
    return await openMedia(file, probe.format, check);
  } catch (error) {
    const { code, message } = /** @type {{code?: unknown, message?: string}} */ (error);
    if (error instanceof DOMException) throw error;
    if (typeof code === "string" && !ASK_THE_PAGE.includes(code)) throw new ScreeningError(code, message);
    console.info(`The page is asked to decode: ${message}`);
    return null;
  }
}

/**
 * A file of some kilobytes can hold hours of silence and state a second.
 * @param {File} file
 * @param {Probe} probe
 * @param {() => void} check called now and then; what it throws ends the walk
 * @returns {Promise<Probe>} with the length that its packets have, where that is longer than the stated one
 * @throws {ScreeningError} for what is too long for anybody
 */
export async function measured(file, probe, check) {
  const seconds = await import("./media.js").then(({ lengthOf }) => lengthOf(file, probe.format, check)).catch((error) => {
    check(); // Whoever ended this, the file did not.
    if (error instanceof DOMException) throw error;
    if (error.code === Code.TOO_LARGE) throw new ScreeningError(Code.TOO_LARGE, error.message);
    return 0; // The page may know what this file is.
  });
  if (seconds <= (probe.duration_s ?? 0)) return probe;
  return { ...probe, duration_s: seconds, predicted_pcm_bytes: null };
}

/**
 * @param {File} file
 * @param {Probe} probe
 * @param {import("./sections.js").Decode} decode asks the page
 * @param {() => void} check called now and then; what it throws ends the opening
 * @returns {Promise<Media | null>} null where nothing can be cut out of such a file
 * @throws {ScreeningError} for what nobody can hear
 */
export async function openCut(file, probe, decode, check) {
  let isAsked = false;
  /** @type {import("./sections.js").Decode} */
  const asked = (bytes, sampleRate) => {
    isAsked = true;
    return decode(bytes, sampleRate);
  };
  try {
    const { cutting, openMedia } = await import("./media.js");
    return await openMedia(file, probe.format, check, cutting(asked));
  } catch (error) {
    const { code, message } = /** @type {{code?: unknown, message?: string}} */ (error);
    check(); // Whoever ended this, the file did not.
    if (error instanceof DOMException || typeof code !== "string") throw error;
    if (isAsked) throw new ScreeningError(Code.UNSUPPORTED, message);
    if (ASK_THE_PAGE.includes(code)) return null;
    throw new ScreeningError(code, message);
  }
}

/**
 * @param {Probe} probe
 * @returns {boolean} whether the recording may end before the file does: takes put behind each other as FLAC have the head
 *   of the first, which the server believes, while decodeAudioData decodes them all
 */
export function endsEarly({ format }) {
  return format === "flac";
}
