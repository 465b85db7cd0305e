// @ts-check
// Who decodes: WebCodecs in the worker, piece by piece, where the browser has it for this file; else the page, which
// holds the whole recording at once and so takes short ones only.
import { ScreeningError } from "../protocol.js";

/** @typedef {import("./media.js").Media} Media */

// The page may know what this file is although no decoder was found here.
const ASK_THE_PAGE = ["unsupported", "undecodable"];

/**
 * @param {File} file
 * @param {import("../protocol.js").Probe} probe
 * @param {() => void} [check] called now and then; what it throws ends the opening
 * @returns {Promise<Media | null>} null where the page is to decode
 * @throws {ScreeningError} for what nobody can hear
 */
export async function openHere(file, probe, check) {
  if (typeof AudioDecoder !== "function") return null;
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
