// @ts-check
// Challenge and seal: what the page asks of the server. Only `seal` says anything about the file, and it runs while
// the submit is held.

/** @typedef {import("./protocol.js").Outcome} Outcome */
/**
 * @typedef {{challenge: string, cid: string, expires_at: number, detector: {id: string, sha256: string},
 *   ui: {show?: string, max_seconds?: number}}} Challenge
 * @typedef {{token: string, expires_at: number}} Sealed
 */

// Two thirds of a challenge's life. Counted by this browser's own clock, which need not be right.
const FRESH_MS = 10 * 60 * 1000;

/** The server's answer was not the one that was hoped for. */
class ServerError extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/** One element's dealings with the server. */
export class Session {
  /** @type {Challenge | null} */
  #challenge = null;
  #fetchedAt = 0;
  /** What the server allows to be shown, and how much to analyse; empty until the first challenge. */
  ui = /** @type {Challenge["ui"]} */ ({});

  /**
   * @param {URL} endpoint
   * @param {{action: string, session: string | null}} binding signed into the challenge
   */
  constructor(endpoint, binding) {
    this.endpoint = endpoint;
    this.binding = binding;
  }

  /**
   * Say what is wanted before any file is known. Sends nothing about a file.
   * @param {AbortSignal} [signal]
   * @returns {Promise<Challenge>}
   */
  async challenge(signal) {
    const age = Date.now() - this.#fetchedAt;
    if (this.#challenge && age >= 0 && age < FRESH_MS) return this.#challenge;
    const { action, session } = this.binding;
    const body = session === null ? { action } : { action, session };
    this.#challenge = /** @type {Challenge} */ (await this.#post("challenge", body, signal));
    this.#fetchedAt = Date.now();
    this.ui = this.#challenge.ui ?? {};
    return this.#challenge;
  }

  /**
   * Have the claim about one file sealed. A challenge that the server no longer takes is renewed once, without
   * analysing again: a form left open for hours still sends.
   * @param {File} file
   * @param {Outcome} outcome
   * @param {string} detectorSha256
   * @param {AbortSignal} [signal]
   * @returns {Promise<Sealed>}
   */
  async seal(file, outcome, detectorSha256, signal) {
    try {
      return await this.#seal(file, outcome, detectorSha256, signal);
    } catch (error) {
      if (!(error instanceof ServerError) || error.status >= 500) throw error;
      this.#challenge = null;
      return this.#seal(file, outcome, detectorSha256, signal);
    }
  }

  /**
   * @param {File} file
   * @param {Outcome} outcome
   * @param {string} detectorSha256
   * @param {AbortSignal} [signal]
   */
  async #seal(file, outcome, detectorSha256, signal) {
    const { challenge, cid } = await this.challenge(signal);
    const claim = {
      v: 1,
      cid,
      file: { size: file.size, type: file.type, sha256: outcome.sha256 },
      det: { id: outcome.detector.id, sha256: detectorSha256 },
      ...outcome.claim,
      env: { decoder: outcome.decoder, rate: outcome.rate },
      t: outcome.times,
    };
    const sealed = /** @type {Sealed} */ (await this.#post("seal", { challenge, claim }, signal));
    this.#challenge = null; // Single use.
    return sealed;
  }

  /**
   * @param {string} name
   * @param {object} body
   * @param {AbortSignal} [signal]
   */
  async #post(name, body, signal) {
    const response = await fetch(new URL(name, this.endpoint), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok) throw new ServerError(response.status);
    return response.json();
  }
}
