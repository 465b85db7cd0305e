// @ts-check
// Challenge and seal: what the page asks of the server. Only `seal` says anything about the file.
import { fixedOutcome, isFixed } from "./fixed.js";

/** @typedef {import("../protocol.js").Outcome} Outcome */
/**
 * @typedef {{challenge: string, cid: string, expires_at: number, detector: {id: string, sha256: string},
 *   ui: {show?: string, max_seconds?: number}, extensions?: import("../protocol.js").Extensions,
 *   test?: boolean}} Challenge
 * @typedef {{action: string, session: string | null, test: string | null}} Binding
 * @typedef {{token: string, expires_at: number, restMs: () => number}} Sealed `restMs`: for how long it is still fresh,
 *   0 when it is not, or when it is bound to what the element no longer says
 */

// Of a life that the server states; the rest is for slow uploads.
const FRESH_SHARE = 2 / 3;
const REQUEST_MS = 10_000;
const MAX_ATTEMPTS = 3;
// A server that is busy says for how long. Longer than this nobody should wait for a hint.
const MAX_PATIENCE_MS = 5_000;

/** The server's answer was not the one that was hoped for. */
class ServerError extends Error {
  /** @param {Response} response */
  constructor(response) {
    super(`HTTP ${response.status}`);
    this.status = response.status;
    const seconds = response.headers.get("Retry-After");
    this.retryAfterMs = seconds === null ? null : Number(seconds) * 1000;
  }

  /** Whether the answer says that the same may work in a moment. */
  get isBrief() {
    return this.retryAfterMs !== null && this.retryAfterMs <= MAX_PATIENCE_MS;
  }
}

/** One element's dealings with the server. */
export class Session {
  /** @type {Challenge | null} */
  #challenge = null;
  #restMs = () => 0;
  #asked = "";
  /** The request that is under way: several who ask for the same share it. */
  #asking = { asked: "", answer: /** @type {Promise<Challenge> | null} */ (null) };
  /** What the server allows to be shown, and how much to analyse; empty until the first challenge. */
  ui = /** @type {Challenge["ui"]} */ ({});
  /** The operator's own signals, where the challenge lists some. @type {Challenge["extensions"]} */
  extensions;
  /** The outcome of the test mode that is in force, or null. */
  fixed = /** @type {string | null} */ (null);

  /**
   * @param {URL} endpoint
   * @param {() => Binding} binding what is signed into the challenge, read at each need
   */
  constructor(endpoint, binding) {
    this.endpoint = endpoint;
    this.binding = binding;
  }

  /**
   * Say what is wanted before any file is known. Sends nothing about a file.
   * @param {AbortSignal} [signal] ends the wait of this caller alone
   * @returns {Promise<Challenge>}
   */
  async challenge(signal) {
    signal?.throwIfAborted();
    const asked = this.#wanted();
    if (this.#challenge && asked === this.#asked && this.#restMs() > 0) return this.#challenge;
    if (!this.#asking.answer || this.#asking.asked !== asked) {
      const asking = (this.#asking = { asked, answer: this.#ask(asked) });
      const over = () => this.#asking === asking && (this.#asking = { asked: "", answer: null });
      asking.answer.then(over, over);
    }
    return unless(signal, /** @type {Promise<Challenge>} */ (this.#asking.answer));
  }

  /**
   * The same, also from a server that is busy and says that it will answer in a moment.
   * @param {AbortSignal} [signal]
   */
  async settings(signal) {
    return this.#patiently(() => this.challenge(signal), signal);
  }

  /**
   * @param {string} asked
   * @returns {Promise<Challenge>}
   */
  async #ask(asked) {
    const { action, session, test } = this.binding();
    const body = session === null ? { action } : { action, session };
    let { answer, restMs } = await this.#post("challenge", body);
    this.fixed = test && mayFix(test, answer.test) ? test : null;
    if (this.fixed) ({ answer, restMs } = await this.#post("challenge", { ...body, test: this.fixed }));
    this.ui = answer.ui ?? {};
    this.extensions = answer.extensions;
    if (asked !== this.#wanted()) return answer; // Another one is asked for, or will be.
    this.#asked = asked;
    this.#restMs = restMs;
    return (this.#challenge = answer);
  }

  /** What the element says now, in a form that can be compared. */
  #wanted() {
    const { action, session, test } = this.binding();
    return JSON.stringify([action, session, test]);
  }

  /**
   * What the test mode's outcome looks like for this file. Loads nothing.
   * @param {File} file
   * @returns {Promise<Outcome>}
   * @throws {import("../protocol.js").ScreeningError} where the outcome is a failure
   */
  async fixedOutcome(file) {
    const { detector } = await this.challenge();
    return fixedOutcome(/** @type {string} */ (this.fixed), file, detector);
  }

  /**
   * Have the claim about one file sealed. A challenge that the server no longer takes (expired, or signed by a key
   * that was replaced meanwhile) is renewed without analysing again: a form left open for hours still sends.
   * @param {File} file
   * @param {Outcome} outcome
   * @param {AbortSignal} [signal]
   * @returns {Promise<Sealed>}
   */
  async seal(file, outcome, signal) {
    return this.#patiently(() => this.#seal(file, outcome, signal), signal);
  }

  /**
   * @template T
   * @param {() => Promise<T>} action
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async #patiently(action, signal) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof ServerError) || attempt === MAX_ATTEMPTS) throw error;
        if (error.isBrief) await pause(/** @type {number} */ (error.retryAfterMs), signal);
        else if (error.status === 400 && this.#challenge) this.#challenge = null;
        else throw error;
      }
    }
  }

  /**
   * @param {File} file
   * @param {Outcome} outcome
   * @param {AbortSignal} [signal]
   * @returns {Promise<Sealed>}
   */
  async #seal(file, outcome, signal) {
    const asked = this.#wanted();
    const { challenge, cid } = await this.challenge(signal);
    const claim = {
      v: 1,
      cid,
      file: { size: file.size, type: file.type.slice(0, 100), sha256: outcome.sha256 },
      det: { id: outcome.detector.id, sha256: outcome.detector.sha256 ?? __DETECTOR__.sha256 },
      ...outcome.claim,
      env: { decoder: outcome.decoder, rate: outcome.rate },
      t: outcome.times,
    };
    const { answer, restMs } = await this.#post("seal", { challenge, claim }, signal);
    this.#challenge = null; // Single use.
    return { ...answer, restMs: () => (asked === this.#wanted() ? restMs() : 0) };
  }

  /**
   * @param {string} name
   * @param {object} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<{answer: any, restMs: () => number}>}
   */
  async #post(name, body, signal) {
    const response = await fetch(new URL(name, this.endpoint), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: within(REQUEST_MS, signal),
    });
    if (!response.ok) throw new ServerError(response);
    const answer = await response.json();
    return { answer, restMs: lifeOf(answer.expires_at * 1000, Date.parse(response.headers.get("Date") ?? "")) };
  }
}

/**
 * How long an answer is good for, whatever this machine's own clock says.
 * @param {number} expiresMs by the server's clock
 * @param {number} serverMs the server's clock now; NaN where its answer does not tell
 * @returns {() => number} milliseconds that are left, at least 0
 */
function lifeOf(expiresMs, serverMs) {
  const got = Date.now();
  const freshMs = FRESH_SHARE * Math.max(0, expiresMs - (Number.isNaN(serverMs) ? got : serverMs));
  return () => {
    const age = Date.now() - got; // Not performance.now(): that one sleeps with the machine.
    return age >= 0 ? Math.max(0, freshMs - age) : 0;
  };
}

/**
 * @param {string} test what the page asks for
 * @param {boolean | undefined} runsTestKeys what the server says of itself
 */
function mayFix(test, runsTestKeys) {
  const problem = !runsTestKeys ? "this server runs no test keys" : isFixed(test) ? "" : "there is no such outcome";
  if (problem) console.warn(`<prelisten-check test="${test}"> is ignored: ${problem}.`);
  return !problem;
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {AbortSignal} aborts with `signal`, or when the time is over
 */
function within(ms, signal) {
  const controller = new AbortController();
  const end = () => controller.abort();
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  setTimeout(end, ms);
  return controller.signal;
}

/**
 * @template T
 * @param {AbortSignal | undefined} signal
 * @param {Promise<T>} answer
 * @returns {Promise<T>} rejects when `signal` aborts
 */
function unless(signal, answer) {
  return new Promise((resolve, reject) => {
    const end = () => reject(new DOMException("no longer wanted", "AbortError"));
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end, { once: true });
    answer.then(resolve, reject);
  });
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>} also over when `signal` aborts
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}
