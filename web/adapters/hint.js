// @ts-check
// What every adapter does before an upload: have the recording listened to and sealed, and never stand in its way.

/** @typedef {import("./hint.d.ts").Hint} Hint */
/** @typedef {import("./hint.d.ts").HintOptions} HintOptions */
/** @typedef {typeof import("../index.d.ts").PrelistenCheck} Element */

const SCRIPT = "/prelisten/v1/widget.js";
const TAG = "prelisten-check";
/** The longest that an upload waits. */
export const WAIT_MS = 15_000;
/** A retry within this time sends the same token, so that the server knows both for one upload. A token lives longer. */
const KEPT_MS = 30 * 60_000;
const SOUND = /^(audio|video)\/|^application\/ogg$/;

/** @type {WeakMap<Blob, Map<string, {hint: Hint, at: number}>>} */
const kept = new WeakMap();

/**
 * Define the element, unless the page has done so.
 * @param {string} [script]
 * @returns {Promise<Element>} rejects where the script cannot be had
 */
export async function load(script = SCRIPT) {
  const url = new URL(script, document.baseURI).href;
  if (!customElements.get(TAG)) await import(/* @vite-ignore */ /* webpackIgnore: true */ url);
  return /** @type {Element} */ (await customElements.whenDefined(TAG));
}

/**
 * Load the detector, as soon as somebody has chosen a file. Sends nothing about it, and never rejects.
 * @param {Blob} file
 * @param {HintOptions} [options]
 */
export async function warm(file, { accepts = isSound, script, test } = {}) {
  try {
    if (test || !accepts(file)) return;
    await (await load(script)).warm();
  } catch {
    // Tried again, and told, before the upload.
  }
}

/**
 * Have a file listened to and sealed. Never rejects, and never takes longer than `wait`: without a token the file is
 * uploaded all the same, and the server screens it fully.
 * @param {Blob} file
 * @param {HintOptions} [options]
 * @returns {Promise<Hint>}
 */
export async function hintFor(file, options = {}) {
  const { script, wait = WAIT_MS, signal, accepts = isSound, onProgress, onResult, onError, ...asked } = options;
  const known = recall(file, asked);
  if (known) return known;
  const none = { token: "", result: null, error: null };
  const clock = startClock(wait, signal);
  /** @type {Hint} */
  let hint;
  try {
    if (!accepts(file)) return none;
    const listened = load(script).then((element) =>
      element.screen(named(file), { ...asked, signal: clock.signal, onProgress: told(onProgress) }),
    );
    hint = { ...(await Promise.race([listened, clock.over])), error: null };
    if (hint.token) keep(file, asked, hint);
  } catch (thrown) {
    hint = { ...none, error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  } finally {
    clock.stop();
  }
  if (hint.error) told(onError)(hint.error, file);
  else if (hint.result) told(onResult)(hint.result, file);
  return hint;
}

/**
 * Forget a file's token once it was sent: another upload of the same file needs another.
 * @param {Blob} file
 */
export function spend(file) {
  kept.delete(file);
}

/**
 * @template {any[]} Given
 * @param {((...given: Given) => void) | undefined} listener of the page; what it throws costs no upload its token
 * @returns {(...given: Given) => void}
 */
function told(listener) {
  return (...given) => {
    try {
      listener?.(...given);
    } catch (thrown) {
      reportError(thrown);
    }
  };
}

/** @param {Blob} file */
function isSound({ type }) {
  return !type || SOUND.test(type);
}

/**
 * @param {Blob} file
 * @returns {File}
 */
function named(file) {
  return file instanceof File ? file : new File([file], "recording", { type: file.type });
}

/**
 * @param {Blob} file
 * @param {object} asked
 */
function recall(file, asked) {
  const known = kept.get(file)?.get(JSON.stringify(asked));
  const age = known ? Date.now() - known.at : KEPT_MS;
  return known && age >= 0 && age < KEPT_MS ? known.hint : null;
}

/**
 * @param {Blob} file
 * @param {object} asked
 * @param {Hint} hint
 */
function keep(file, asked, hint) {
  const tokens = kept.get(file) ?? new Map();
  kept.set(file, tokens.set(JSON.stringify(asked), { hint, at: Date.now() }));
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {{signal: AbortSignal, over: Promise<never>, stop: () => void}} `over` rejects when the time is, or `signal`
 */
function startClock(ms, signal) {
  const controller = new AbortController();
  /** @type {(reason: Error) => void} */
  let end = () => {};
  /** @type {Promise<never>} */
  const over = new Promise((_, reject) => (end = reject));
  over.catch(() => {}); // It may end first, or not at all.
  const stop = (/** @type {string} */ why) => {
    end(new Error(why));
    controller.abort();
  };
  const cancel = () => stop("cancelled");
  const expire = () => stop(`no hint within ${ms} ms`);
  const timer = setTimeout(expire, Math.min(WAIT_MS, ms));
  if (ms <= 0) expire();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel);
  return {
    signal: controller.signal,
    over,
    stop: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    },
  };
}
