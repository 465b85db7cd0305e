// @ts-check
// Uppy: a step before the upload, which puts each recording's token into the file's metadata.
import { BasePlugin } from "@uppy/core";
import { hintFor, spend, WAIT_MS, warm } from "./hint.js";

/** @typedef {import("./uppy.d.ts").PrelistenOptions} PrelistenOptions */
/** @typedef {import("@uppy/core").UppyFile<any, any>} UppyFile */

const WORDS = { strings: { listening: "Listening to the recording" } };

/** @extends {BasePlugin<PrelistenOptions & {name: string}, any, any>} */
export class Prelisten extends BasePlugin {
  /** @type {Map<string, AbortController>} */
  #running = new Map();

  /**
   * @param {import("@uppy/core").Uppy<any, any>} uppy
   * @param {PrelistenOptions} [options]
   */
  constructor(uppy, options) {
    super(uppy, { name: "file-hint", ...options });
    this.id = this.opts.id || "Prelisten";
    this.type = "modifier";
    this.defaultLocale = WORDS;
    this.i18nInit();
  }

  install() {
    this.uppy.addPreProcessor(this.#prepare);
    this.uppy.on("file-added", this.#chosen);
    this.uppy.on("file-removed", this.#stop);
    this.uppy.on("cancel-all", this.#stopAll);
    this.uppy.on("upload-success", this.#sent);
  }

  uninstall() {
    this.#stopAll();
    this.uppy.removePreProcessor(this.#prepare);
    this.uppy.off("file-added", this.#chosen);
    this.uppy.off("file-removed", this.#stop);
    this.uppy.off("cancel-all", this.#stopAll);
    this.uppy.off("upload-success", this.#sent);
  }

  #chosen = (/** @type {UppyFile} */ { data, isRemote }) => {
    if (!isRemote && data instanceof Blob) warm(data, this.opts);
  };

  #prepare = async (/** @type {string[]} */ ids) => {
    const { wait = WAIT_MS } = this.opts;
    const end = performance.now() + Math.min(WAIT_MS, wait);
    // One after the other: at the end of the time most are heard, not each a little.
    for (const id of ids) await this.#carry(id, Math.floor(end - performance.now()));
    for (const id of ids) this.uppy.emit("preprocess-complete", this.uppy.getFile(id));
  };

  /**
   * @param {string} id
   * @param {number} wait
   */
  async #carry(id, wait) {
    const { name, id: _, locale, ...options } = this.opts;
    const file = this.uppy.getFile(id);
    if (!file || file.isRemote || !(file.data instanceof Blob)) return; // Its bytes are not here.
    const controller = new AbortController();
    this.#running.set(id, controller);
    this.#tell(id);
    const { token } = await hintFor(file.data, {
      ...options,
      wait,
      signal: controller.signal,
      onProgress: (progress) => {
        this.#tell(id, progress);
        options.onProgress?.(progress);
      },
    });
    this.#running.delete(id);
    // What an earlier attempt has left must not be sent again.
    if (token || this.uppy.getFile(id)?.meta[name]) this.uppy.setFileMeta(id, { [name]: token });
  }

  /**
   * @param {string} id
   * @param {import("../index.d.ts").Progress} [progress]
   */
  #tell(id, progress) {
    const message = this.i18n("listening");
    /** @type {NonNullable<UppyFile["progress"]["preprocess"]>} */
    const told =
      progress?.phase === "analysing" // Loading the detector is no share of listening.
        ? { mode: "determinate", message, value: progress.fraction }
        : { mode: "indeterminate", message };
    this.uppy.emit("preprocess-progress", this.uppy.getFile(id), told);
  }

  #stop = (/** @type {UppyFile} */ { id }) => this.#running.get(id)?.abort();

  #stopAll = () => this.#running.forEach((controller) => controller.abort());

  #sent = (/** @type {UppyFile | undefined} */ file) => {
    if (file?.data instanceof Blob) spend(file.data);
  };
}

export default Prelisten;
