// @ts-check
// FilePond: a plugin that hears each recording before it is processed, and `ondata` that puts the token into the form.
import { hintFor, spend, WAIT_MS, warm } from "./hint.js";

/** @typedef {import("./hint.d.ts").HintOptions} HintOptions */

/** Where FilePond keeps the token on its way from the file to the form. */
const KEY = "prelisten";

/**
 * A plugin for `FilePond.registerPlugin`.
 * @param {HintOptions} [options]
 */
export function prelisten(options = {}) {
  const inTurn = queue(Math.min(WAIT_MS, options.wait ?? WAIT_MS));
  return (/** @type {any} */ { addFilter }) => {
    addFilter("LOAD_FILE", async (/** @type {Blob} */ file) => {
      warm(file, options); // FilePond need not wait for it.
      return file;
    });
    addFilter("PREPARE_OUTPUT", async (/** @type {Blob} */ output, /** @type {any} */ { item }) => {
      if (!(output instanceof Blob)) return output; // Another plugin has made several files of it.
      const { token } = await inTurn((wait) => hintFor(output, { ...options, wait }));
      item.setMetadata(KEY, token, true);
      item.onOnce("process-complete", () => spend(output));
      return output;
    });
    return { options: {} };
  };
}

/**
 * FilePond prepares several files at a time, and one worker hears them: one after the other, most are heard in time.
 * @param {number} waitMs the longest that each may take, its turn included
 * @returns {<T>(task: (leftMs: number) => Promise<T>) => Promise<T>}
 */
function queue(waitMs) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return (task) => {
    const end = performance.now() + waitMs;
    const own = last.then(() => task(Math.floor(end - performance.now())));
    last = own.catch(() => {});
    return own;
  };
}

/**
 * FilePond's `server.process.ondata`: moves the token from the file's metadata to an entry `<field>-hint`.
 * @param {FormData} form
 * @returns {FormData}
 */
export function withHint(form) {
  const entries = [...form];
  for (const [field, value] of entries) {
    const { [KEY]: token, ...metadata } = metadataOf(value);
    if (token === undefined) continue;
    form.delete(field);
    if (Object.keys(metadata).length) form.append(field, JSON.stringify(metadata));
    for (const [name, other] of entries) if (name === field && other !== value) form.append(name, other);
    if (token) form.append(`${field}-hint`, token);
    break;
  }
  return form;
}

/**
 * @param {FormDataEntryValue} value
 * @returns {Record<string, any>} what FilePond has written there, or nothing
 */
function metadataOf(value) {
  try {
    return typeof value === "string" ? (JSON.parse(value) ?? {}) : {};
  } catch {
    return {};
  }
}
