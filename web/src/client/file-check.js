// @ts-check
// One file's way through an element: listened to, then sealed. Knows nothing of forms or of what is shown.

/** @typedef {import("../protocol.js").Outcome} Outcome */
/** @typedef {import("../protocol.js").Progress} Progress */
/** @typedef {import("./session.js").Sealed} Sealed */
/**
 * @typedef {"idle"|"loading"|"reading"|"analysing"|"done"|"sealing"|"unsupported"|"error"|"offline"|"cancelled"
 *   |"stale"|"timeout"} State
 * @typedef {{
 *   load: () => Promise<import("../element/bundle.js").Parts & {session: import("./session.js").Session}>,
 *   options: () => {test: string | null, maxSeconds: number, provenance?: boolean},
 *   sealsAtOnce: () => boolean,
 *   changed: (check: FileCheck) => void,
 *   progressed: (check: FileCheck) => void,
 *   heard: (check: FileCheck) => void,
 *   failed: (check: FileCheck, message: string) => void,
 *   sealed: (check: FileCheck, sealed: Sealed) => void,
 * }} Host what a check needs of its element, and tells it
 */

const PROGRESS_EVERY_MS = 250;

/** What a failure's code means for the person; any other code is an `error`. @type {Record<string, State>} */
const STATE_OF_CODE = {
  cancelled: "cancelled",
  empty_file: "unsupported",
  invalid_waveform: "unsupported",
  offline: "offline",
  stale: "stale",
  timeout: "timeout",
  too_large_to_decode: "unsupported",
  undecodable: "unsupported",
  unreadable_container: "unsupported",
  unsupported: "unsupported",
};
export const BUSY = new Set(["loading", "reading", "analysing"]);

export class FileCheck {
  /** @type {State} */
  state = "loading";
  /** @type {Progress | null} */
  progress = null;
  /** @type {Outcome | null} */
  outcome = null;
  code = "";
  token = "";
  #progressAt = 0;
  /** The token's life; null when there is none, or when it has gone with a form. @type {Sealed | null} */
  #sealed = null;
  #controller = new AbortController();
  #isDropped = false;

  /**
   * @param {File} file
   * @param {Host} host
   */
  constructor(file, host) {
    this.file = file;
    this.host = host;
  }

  get isBusy() {
    return BUSY.has(this.state);
  }

  /** For how long its token is fresh; Infinity where there is none to keep fresh. */
  get restMs() {
    return this.#sealed?.restMs() ?? Infinity;
  }

  /**
   * Listen to the file when its turn has come. Never rejects.
   * @param {Promise<unknown>} turn
   */
  async run(turn) {
    const { signal } = this.#controller;
    await turn;
    if (signal.aborted) return;
    try {
      const parts = await this.host.load();
      const options = { ...this.host.options(), signal, onProgress: this.#onProgress };
      const outcome = await parts.listen(parts, this.file, options);
      if (signal.aborted) return;
      this.outcome = outcome;
      this.#enter("done");
      this.host.heard(this);
      if (this.host.sealsAtOnce()) await this.seal(signal).catch(() => {}); // The submit tries again.
    } catch (error) {
      const { code = "load_failed", message } = /** @type {{code?: string, message?: string}} */ (error);
      if (!signal.aborted) this.#fail(code === "load_failed" && !navigator.onLine ? "offline" : code, message);
    }
  }

  /** Stop listening, as the person wishes. */
  cancel() {
    if (!this.isBusy) return;
    this.#controller.abort();
    this.#fail("cancelled");
  }

  /** Stop what runs, without a word: the element has left the page. */
  abort() {
    this.#controller.abort();
  }

  /** Stop what runs; nothing is told of it any more. */
  drop() {
    this.#isDropped = true;
    this.outcome = null;
    this.abort();
  }

  /**
   * Have the kept claim sealed, under a fresh challenge where the old one is no longer taken.
   * @param {AbortSignal} signal
   * @param {boolean} [mayKeep] whether a token that is still fresh will do
   */
  async seal(signal, mayKeep = false) {
    const { file, outcome } = this;
    if (!outcome || signal.aborted) return;
    this.#enter("sealing");
    try {
      if (!(await isUnchanged(file))) {
        this.outcome = null;
        return this.#fail("stale");
      }
      if (mayKeep && this.#sealed && this.#sealed.restMs() > 0) return;
      if (!this.#sealed) this.token = ""; // What has gone with a form is spent, also when sealing fails now.
      const { session } = await this.host.load();
      const sealed = await session.seal(file, outcome, signal);
      if (signal.aborted || this.outcome !== outcome) return;
      this.#sealed = sealed;
      this.token = sealed.token;
      this.host.sealed(this, sealed);
    } finally {
      if (this.state === "sealing") this.#enter("done");
    }
  }

  /** Its token goes now; the next submit needs another one. */
  spend() {
    this.#sealed = null;
  }

  /** @param {Progress} progress */
  #onProgress = (progress) => {
    const now = performance.now();
    this.progress = progress;
    if (progress.phase !== this.state) this.#enter(progress.phase);
    else if (now - this.#progressAt < PROGRESS_EVERY_MS) return;
    this.#progressAt = now;
    if (!this.#isDropped) this.host.progressed(this);
  };

  /**
   * @param {string} code
   * @param {string} [message] for developers; people get the sentence of the code
   */
  #fail(code, message = "") {
    this.code = code;
    this.token = "";
    this.#sealed = null;
    this.#enter(STATE_OF_CODE[code] ?? "error");
    if (!this.#isDropped) this.host.failed(this, message);
  }

  /** @param {State} state */
  #enter(state) {
    this.state = state;
    if (!this.#isDropped) this.host.changed(this);
  }
}

/**
 * @param {File} file
 * @returns {Promise<boolean>} whether it can still be read: a file changed on disk cannot
 */
async function isUnchanged(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
