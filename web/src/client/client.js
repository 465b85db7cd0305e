// @ts-check
// The page's side of the worker: one worker for all elements of a page, started on intent, watched, restarted.
import { decode, decodeBytes, monoSlice } from "./decode.js";
import { Ask, Code, ScreeningError, Tell, errorData } from "../protocol.js";

export { ScreeningError } from "../protocol.js";
export { CheckList } from "./check-list.js";
export { Recorder } from "./recorder.js";
export { Renewal } from "./renewal.js";
export { listen, screen } from "./screen.js";
export { Session } from "./session.js";

/** @typedef {import("../protocol.js").FromPage} FromPage */
/** @typedef {import("../protocol.js").FromWorker} FromWorker */
/** @typedef {import("../protocol.js").Outcome} Outcome */
/** @typedef {import("../protocol.js").Progress} Progress */
/** @typedef {import("../protocol.js").RollingHint} RollingHint */

// Silence of a worker that has work: a hung decoder or a stalled download. Every piece of work says more sooner.
// Counted in looks, so that a page that slept, or that was busy itself, does not take its own absence for silence.
const LOOK_EVERY_MS = 5_000;
const SILENT_LOOKS = 9;

/**
 * @typedef {{maxSeconds: number, extensions?: import("../protocol.js").Extensions, signal?: AbortSignal, onProgress?: (progress: Progress) => void}} Options
 * @typedef {{file: File, options: Options, buffer: AudioBuffer | null,
 *   resolve: (outcome: Outcome) => void, reject: (error: Error) => void}} Job
 */

/** Screens recordings in a worker. */
export class Client {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Map<number, Job>} */
  #jobs = new Map();
  #lastJob = 0;
  #setReady = () => {};
  /** Kept when a worker has said for the first time that it can listen. @type {Promise<void>} */
  ready = new Promise((resolve) => (this.#setReady = resolve));
  /** What recordings that are being made tell. @type {Map<number, (hint?: RollingHint | null) => void>} */
  #listeners = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchdog;
  #silentLooks = 0;

  /** @param {URL} script the worker's address, on the page's own origin */
  constructor(script) {
    this.script = script;
  }

  /** Start loading the runtime: a person seems about to choose a file. Never throws. */
  warm() {
    try {
      this.#post({ kind: Ask.LOAD });
    } catch {
      // `screen` will meet the same and say it.
    }
  }

  /**
   * Screen one recording. Nothing about it leaves the browser.
   * A worker that died of another page's trouble gets one new start.
   * @param {File} file
   * @param {Options} options
   * @returns {Promise<Outcome>}
   * @throws {ScreeningError}
   */
  async screen(file, options) {
    try {
      return await this.#screenOnce(file, options);
    } catch (error) {
      if (!(error instanceof ScreeningError) || error.code !== Code.CRASHED) throw error;
      return this.#screenOnce(file, options);
    }
  }

  /**
   * @param {File} file
   * @param {Options} options
   * @returns {Promise<Outcome>}
   */
  #screenOnce(file, options) {
    const id = (this.#lastJob += 1);
    return new Promise((resolve, reject) => {
      const cancel = () => {
        this.#settle(id)?.reject(new ScreeningError(Code.CANCELLED));
        this.#worker?.postMessage({ kind: Ask.CANCEL, job: id });
      };
      if (options.signal?.aborted) return reject(new ScreeningError(Code.CANCELLED));
      options.signal?.addEventListener("abort", cancel, { once: true });
      this.#jobs.set(id, { file, options, buffer: null, resolve, reject });
      try {
        const { maxSeconds, extensions } = options;
        this.#post({ kind: Ask.SCREEN, job: id, file, maxSeconds, extensions });
      } catch (error) {
        this.#settle(id)?.reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /**
   * Hear a recording while it is made. Never throws: without a worker nothing is told.
   * @param {number} sampleRate
   * @param {MessagePort} port brings its samples, mono Float32Arrays
   * @param {(hint?: RollingHint | null) => void} told null as long as there is nothing to say yet; nothing when no more
   *   will come: the machine is too slow, or the worker is gone
   * @param {import("../protocol.js").Extensions} [listed] the site's own signals; only those that weigh are heard
   * @returns {() => void} ends it
   */
  hear(sampleRate, port, told, listed) {
    const id = (this.#lastJob += 1);
    this.#listeners.set(id, told);
    try {
      const extensions = __DETECTOR__.requires?.length ? listed : undefined;
      this.#post({ kind: Ask.HEAR, job: id, sampleRate, port, extensions }, [port]);
    } catch {
      this.#listeners.delete(id); // `screen` will meet the same and say it.
    }
    return () => {
      if (this.#listeners.delete(id)) this.#worker?.postMessage({ kind: Ask.CANCEL, job: id });
    };
  }

  /**
   * @param {FromPage} message
   * @param {Transferable[]} [transfer]
   */
  #post(message, transfer = []) {
    this.#worker ??= this.#spawn();
    this.#worker.postMessage(message, transfer);
    this.#watch();
  }

  #spawn() {
    let worker;
    try {
      worker = new Worker(this.script, { type: "module", name: "prelisten" });
    } catch (error) {
      throw new ScreeningError(Code.UNSUPPORTED, String(error)); // Another origin, or no module workers.
    }
    worker.addEventListener("message", ({ data }) => this.#receive(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      // A script that could not even be fetched gives an event without a message.
      this.#bury(event.message ? Code.CRASHED : Code.LOAD, event.message || "the worker could not be loaded");
    });
    worker.addEventListener("messageerror", () => this.#bury(Code.CRASHED, "an unreadable message"));
    return worker;
  }

  /**
   * End the worker and everything it was doing; the next job starts a new one.
   * @param {string} code
   * @param {string} message
   */
  #bury(code, message) {
    this.#worker?.terminate();
    this.#worker = null;
    clearInterval(this.#watchdog);
    for (const told of this.#listeners.values()) told();
    this.#listeners.clear();
    for (const id of [...this.#jobs.keys()]) this.#settle(id)?.reject(new ScreeningError(code, message));
  }

  #watch() {
    clearInterval(this.#watchdog);
    this.#silentLooks = 0;
    if (this.#jobs.size) this.#watchdog = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  #look() {
    this.#silentLooks += 1;
    if (this.#silentLooks >= SILENT_LOOKS) this.#bury(Code.TIMEOUT, "the worker fell silent");
  }

  /**
   * @param {number} id
   * @returns {Job | undefined} the job, which is over now
   */
  #settle(id) {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    this.#watch();
    return job;
  }

  /** @param {FromWorker} message */
  #receive(message) {
    this.#watch();
    if (message.kind === Tell.LOADING) return this.#loading(message.loaded, message.total);
    if (message.kind === Tell.ALIVE) return undefined;
    if (message.kind === Tell.READY) return this.#setReady();
    if (message.kind === Tell.FAILED) return this.#failed(message);
    if (message.kind === Tell.HEARD) return this.#listeners.get(message.job)?.(message.hint);
    const job = this.#jobs.get(message.job);
    if (!job) return undefined; // Cancelled meanwhile.
    if (message.kind === Tell.PROGRESS) return job.options.onProgress?.(message.progress);
    if (message.kind === Tell.DECODE) return this.#decode(message.job, job, message.probe);
    if (message.kind === Tell.SECTION) return this.#decodeSection(message.job, message.bytes, message.sampleRate);
    if (message.kind === Tell.WANT) return this.#send(message.job, job, message.start, message.end);
    return this.#settle(message.job)?.resolve(message.outcome);
  }

  /**
   * @param {number} loaded
   * @param {number} total
   */
  #loading(loaded, total) {
    for (const { options } of this.#jobs.values()) {
      options.onProgress?.({ phase: "loading", fraction: loaded / total, loaded, total });
    }
  }

  /** @param {{job: number | null, code: string, message: string}} failure */
  #failed({ job, code, message }) {
    // A runtime that started halfway cannot be started again in the same worker.
    if (code === Code.LOAD) this.#bury(code, message);
    else if (job !== null) {
      this.#listeners.get(job)?.();
      this.#listeners.delete(job);
      this.#settle(job)?.reject(new ScreeningError(code, message));
    }
  }

  /**
   * @param {number} id
   * @param {Job} job
   * @param {import("../protocol.js").Probe} probe
   */
  async #decode(id, job, probe) {
    try {
      job.buffer = await decode(job.file, probe);
      const { length: frames, sampleRate } = job.buffer;
      if (this.#jobs.has(id)) this.#post({ kind: Ask.DECODED, job: id, frames, sampleRate });
    } catch (error) {
      if (this.#jobs.has(id)) this.#post({ kind: Ask.UNDECODABLE, job: id, ...errorData(error) });
    }
  }

  /**
   * @param {number} id
   * @param {Uint8Array<ArrayBuffer>} bytes a small file
   * @param {number} sampleRate
   */
  async #decodeSection(id, bytes, sampleRate) {
    try {
      const buffer = await decodeBytes(bytes.buffer, sampleRate);
      const samples = monoSlice(buffer, 0, buffer.length);
      if (this.#jobs.has(id)) this.#post({ kind: Ask.SAMPLES, job: id, start: 0, samples }, [samples.buffer]);
    } catch (error) {
      if (this.#jobs.has(id)) this.#post({ kind: Ask.UNDECODABLE, job: id, ...errorData(error) });
    }
  }

  /**
   * @param {number} id
   * @param {Job} job
   * @param {number} start
   * @param {number} end
   */
  #send(id, job, start, end) {
    if (!job.buffer) return;
    const samples = monoSlice(job.buffer, start, end);
    this.#post({ kind: Ask.SAMPLES, job: id, start, samples }, [samples.buffer]);
  }
}

/** @type {Map<string, Client>} */
const shared = new Map();

/**
 * @param {URL} script the worker's address
 * @returns {Client} the one client of this page for it
 */
export function sharedClient(script) {
  const found = shared.get(script.href) ?? new Client(script);
  shared.set(script.href, found);
  return found;
}
