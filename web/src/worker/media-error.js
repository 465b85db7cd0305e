// @ts-check
/** Why a recording cannot be heard; `code` is one that the page has a sentence for. */
export class MediaError extends Error {
  /**
   * @param {"undecodable" | "unsupported" | "too_large_to_decode" | "invalid_waveform"} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
