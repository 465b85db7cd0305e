// @ts-check
// tus-js-client: the token travels in the upload's metadata, which is sent when the upload is created.
import { hintFor, spend } from "./hint.js";

/** @typedef {import("./hint.d.ts").Hint} Hint */
/** @typedef {import("./tus.d.ts").TusOptions} TusOptions */

/**
 * Have the upload's file listened to and put the token into its metadata; then start it.
 * @param {import("tus-js-client").Upload} upload that was not started
 * @param {TusOptions} [options]
 * @returns {Promise<Hint>}
 */
export async function withHint(upload, { name = "file-hint", ...options } = {}) {
  const { file } = upload;
  if (!(file instanceof Blob)) return { token: "", result: null, error: null };
  const hint = await hintFor(file, options);
  if (!hint.token) return hint;
  const { metadata, onSuccess } = upload.options;
  upload.options.metadata = { ...metadata, [name]: hint.token };
  upload.options.onSuccess = (payload) => {
    spend(file);
    onSuccess?.(payload);
  };
  return hint;
}
