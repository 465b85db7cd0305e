// @ts-check
// Holding a form's submit while hints are sealed. One hold for each form, however many elements it has. Whatever
// happens, the form is sent, and never later than the longest wait that an element allows.

// A second click right after the first went through is the same wish.
const AGAIN_MS = 1000;

/**
 * @typedef {{
 *   wait: () => number,
 *   needsHold: () => boolean,
 *   prepare: (signal: AbortSignal) => Promise<boolean>,
 * }} Participant `prepare` resolves to false when the person must choose again before anything is sent
 */

/** @type {WeakMap<HTMLFormElement, Hold>} */
const holds = new WeakMap();

/**
 * Take part in holding `form`.
 * @param {HTMLFormElement} form
 * @param {Participant} participant
 * @returns {() => void} leaves again
 */
export function joinHold(form, participant) {
  const hold = holds.get(form) ?? new Hold(form);
  holds.set(form, hold);
  hold.participants.add(participant);
  return () => hold.participants.delete(participant);
}

class Hold {
  /** @type {Set<Participant>} */
  participants = new Set();
  #held = false;
  #passing = false;
  #releasedAt = -Infinity;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    // Capturing: before any listener of the page's framework, which then runs once, with the token there.
    form.addEventListener("submit", (event) => this.#submit(event), { capture: true });
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    if (this.#passing || event.target !== this.form) return;
    const again = this.#held || performance.now() - this.#releasedAt < AGAIN_MS;
    const waiting = again ? [] : [...this.participants].filter((participant) => participant.needsHold());
    if (!again && !waiting.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!again) this.#hold(waiting, event.submitter);
  }

  /**
   * @param {Participant[]} waiting
   * @param {HTMLElement | null} submitter
   */
  async #hold(waiting, submitter) {
    this.#held = true;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), Math.max(...waiting.map(({ wait }) => wait())));
    const mayGo = await Promise.all(waiting.map((participant) => prepared(participant, controller.signal)));
    clearTimeout(timer);
    this.#held = false;
    if (mayGo.every(Boolean)) this.#release(submitter);
  }

  /** @param {HTMLElement | null} submitter */
  #release(submitter) {
    // By the prototype: a control named "requestSubmit" would hide the form's own method.
    const send = HTMLFormElement.prototype.requestSubmit;
    this.#passing = true;
    try {
      send.call(this.form, submitter?.isConnected ? submitter : null);
    } catch {
      send.call(this.form); // The button has left the form while it was held.
    } finally {
      this.#passing = false;
      this.#releasedAt = performance.now();
    }
  }
}

/**
 * @param {Participant} participant
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} true as soon as it is prepared, has failed, or the time is over
 */
function prepared(participant, signal) {
  const timeIsOver = new Promise((resolve) => signal.addEventListener("abort", () => resolve(true), { once: true }));
  return Promise.race([participant.prepare(signal).catch(() => true), timeIsOver]);
}
