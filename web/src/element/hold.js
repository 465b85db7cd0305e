// @ts-check
// Holding a form's submit while hints are sealed. One hold for each form, however many elements it has. Whatever
// happens, the form is sent, and never later than the longest wait that an element allows; unless the person takes
// the wish back by a reset, or has to choose a file again.

// A second click, or Enter again, right after the first went through is the same wish.
const AGAIN_MS = 1000;
// A submit that a person causes comes in the same task as the click; what a page's own script asks for does not.
const SAME_TASK_MS = 100;

/**
 * @typedef {{
 *   wait: () => number,
 *   needsHold: () => boolean,
 *   prepare: (signal: AbortSignal, ms: number) => Promise<boolean>,
 *   inspect: (entries: FormData) => void,
 * }} Participant `prepare` resolves to false when the person must choose again before anything is sent; `inspect`
 *   takes out of a form's entries what must not be sent, each time when they are read
 */

/** @type {WeakMap<EventTarget, Hold>} */
const holds = new WeakMap();
let touchedAt = -Infinity;

/** @param {EventTarget} target */
function listenOn(target) {
  target.addEventListener("submit", onSubmit, true);
  target.addEventListener("formdata", onFormData, true);
}

/** @param {Event} event */
function onSubmit(event) {
  if (event.target) holds.get(event.target)?.submit(/** @type {SubmitEvent} */ (event));
}

/** @param {Event} event */
function onFormData(event) {
  const { target, formData } = /** @type {FormDataEvent} */ (event);
  if (target) holds.get(target)?.participants.forEach((participant) => participant.inspect(formData));
}

// Capturing, on the window: before any listener of the page's framework, on the document too, which then runs once,
// with the token there.
listenOn(window);
for (const kind of ["click", "keydown"]) {
  window.addEventListener(kind, () => (touchedAt = performance.now()), { capture: true, passive: true });
}

/**
 * Take part in holding `form`.
 * @param {HTMLFormElement} form
 * @param {Participant} participant
 * @returns {{leave: () => void, withdraw: () => void}} `withdraw` drops a submit that is held
 */
export function joinHold(form, participant) {
  const hold = holds.get(form) ?? new Hold(form);
  holds.set(form, hold);
  hold.participants.add(participant);
  // These events stay inside a shadow tree; a second call of our listeners changes nothing.
  listenOn(form.getRootNode());
  listenOn(form);
  return { leave: () => hold.leave(participant), withdraw: () => hold.withdraw() };
}

class Hold {
  /** @type {Set<Participant>} */
  participants = new Set();
  /** @type {Map<Participant, () => void>} */
  #waiting = new Map();
  /** @type {AbortController | null} */
  #held = null;
  /** @type {HTMLElement | null} */
  #submitter = null;
  #passing = false;
  #passedAt = -Infinity;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
  }

  /** @param {Participant} participant who leaves, also while it is waited for */
  leave(participant) {
    this.participants.delete(participant);
    this.#waiting.get(participant)?.();
  }

  /** Drop the submit that is held. */
  withdraw() {
    const held = this.#held;
    this.#held = this.#submitter = null;
    held?.abort();
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    if (this.#passing) this.#passedAt = performance.now();
    // Prevented already: the page has read the form before us, and another event would make it do so twice.
    if (this.#passing || event.defaultPrevented || closesDialog(this.form, event.submitter)) return;
    const again = this.#held || this.#isAgain();
    const waiting = again ? [] : [...this.participants].filter((participant) => participant.needsHold());
    if (!again && !waiting.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (this.#held || !again) this.#submitter = event.submitter ?? this.#submitter; // The last button counts.
    if (!again) this.#hold(waiting);
  }

  #isAgain() {
    const now = performance.now();
    return now - this.#passedAt < AGAIN_MS && now - touchedAt < SAME_TASK_MS;
  }

  /** @param {Participant[]} waiting */
  async #hold(waiting) {
    const held = (this.#held = new AbortController());
    const ms = Math.max(...waiting.map(({ wait }) => wait()));
    const timer = setTimeout(() => held.abort(), ms);
    const mayGo = await Promise.all(waiting.map((participant) => this.#prepared(participant, held.signal, ms)));
    clearTimeout(timer);
    if (this.#held !== held) return; // Withdrawn.
    this.#held = null;
    const submitter = this.#submitter;
    this.#submitter = null;
    if (mayGo.every(Boolean)) this.#release(submitter);
  }

  /**
   * @param {Participant} participant
   * @param {AbortSignal} signal
   * @param {number} ms
   * @returns {Promise<boolean>} true as soon as it is prepared, has failed or left, or the time is over
   */
  #prepared(participant, signal, ms) {
    /** @type {Promise<boolean>} */
    const prepared = new Promise((resolve) => {
      const go = () => resolve(true);
      this.#waiting.set(participant, go);
      signal.addEventListener("abort", go, { once: true });
      participant.prepare(signal, ms).then(resolve, go);
    });
    return prepared.finally(() => this.#waiting.delete(participant));
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
    }
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 * @returns {boolean} whether the submit only closes a dialog: nothing is sent, so nothing is to be sealed
 */
function closesDialog(form, submitter) {
  return (submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "").toLowerCase() === "dialog";
}
