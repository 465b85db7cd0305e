// @ts-check
// The detector's home: a module worker that has the runtime loaded and analyses one piece of a recording at a time.
import { Ask, Code, ScreeningError, Tell, errorData } from "./protocol.js";
import { install } from "./extensions.js";
import { plain, start } from "./runtime.js";

/** @typedef {import("./protocol.js").FromPage} FromPage */
/** @typedef {import("./protocol.js").FromWorker} FromWorker */
/** @typedef {import("./protocol.js").Phase} Phase */
/** @typedef {import("./protocol.js").Probe} Probe */

const HEAD_BYTES = 1 << 20; // What the container probe may need.
const SLICE_BYTES = 4 << 20; // Hashing: few calls into Python, little memory.
const REST_MS = 500;
const CHUNK_S = 4; // One segment of the detector: an even pace of progress and bounded memory.

/** @typedef {{cancelled: boolean, answer: ((message: FromPage) => void) | null}} Job */
/** @type {Map<number, Job>} */
const jobs = new Map();
/** @type {Promise<any> | undefined} */
let loading;
/** @type {(() => Promise<void>) | null} what is left to do when nobody waits */
let later = null;

/** @param {FromWorker} message */
const tell = (message) => self.postMessage(message);

self.addEventListener("message", ({ data }) => receive(/** @type {FromPage} */ (data)));

/** @param {FromPage} message */
function receive(message) {
  if (message.kind === Ask.LOAD) {
    load().catch((error) => tell({ kind: Tell.FAILED, job: null, ...errorData(error) }));
  } else if (message.kind === Ask.SCREEN) {
    screen(message.job, message.file, message.maxSeconds, message.extensions);
  } else if (message.kind === Ask.CANCEL) {
    const job = jobs.get(message.job);
    if (job) job.cancelled = true;
    job?.answer?.(message);
  } else {
    jobs.get(message.job)?.answer?.(message);
  }
}

/** @returns {Promise<any>} the Python module `wasm_detector.browser`, loaded once */
function load() {
  loading ??= start(tell).then(
    ({ detector, keep }) => {
      later = keep;
      rest();
      return detector;
    },
    (error) => {
      loading = undefined; // The next attempt may find the network again.
      throw error;
    },
  );
  return loading;
}

/** Do what can wait when no recording has come for a while. */
function rest() {
  setTimeout(() => {
    if (jobs.size) return;
    later?.();
    later = null;
  }, REST_MS);
}

/**
 * Screen one recording, top to bottom; every failure becomes one `failed` message.
 * @param {number} id
 * @param {File} file
 * @param {number} maxSeconds
 * @param {import("./protocol.js").Extensions} [extensions]
 */
async function screen(id, file, maxSeconds, extensions) {
  /** @type {Job} */
  const job = { cancelled: false, answer: null };
  jobs.set(id, job);
  try {
    const clock = stopwatch();
    const detector = await load();
    refuseCancelled(job);
    clock.lap("load");
    const probe = await identify(detector, file);
    const byPage = probe.reader === "page";
    const decoded = byPage ? ask(job, { kind: Tell.DECODE, job: id, probe }, Ask.DECODED) : null;
    decoded?.catch(() => {}); // Awaited after the hash; a failure before that is no unhandled one.
    const sha256 = await digest(detector, file, job, id);
    clock.lap("read");
    const source = decoded ? pageSource(await decoded, job, id) : wavSource(file, probe);
    clock.lap("decode");
    if (extensions) await install(detector, extensions);
    refuseCancelled(job);
    const finished = await analyse(detector, source, probe.facts, maxSeconds, job, id, extensions?.wheels);
    clock.lap("analyse");
    const outcome = {
      ...finished,
      sha256,
      decoder: /** @type {string} */ (probe.reader),
      rate: source.sampleRate,
      detector: plain(detector.describe()),
      times: clock.times,
    };
    tell({ kind: Tell.FINISHED, job: id, outcome });
  } catch (error) {
    tell({ kind: Tell.FAILED, job: id, ...errorData(error) });
  } finally {
    jobs.delete(id);
    rest();
  }
}

function stopwatch() {
  let last = performance.now();
  /** @type {Record<string, number>} */
  const times = {};
  return {
    times,
    /** @param {string} name */
    lap(name) {
      const now = performance.now();
      times[name] = Math.round(now - last);
      last = now;
    },
  };
}

/** @param {Job} job */
function refuseCancelled(job) {
  if (job.cancelled) throw new ScreeningError(Code.CANCELLED);
}

/**
 * @param {any} detector
 * @param {File} file
 * @returns {Promise<Probe>}
 */
async function identify(detector, file) {
  if (!file.size) throw new ScreeningError(Code.EMPTY);
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const probe = /** @type {Probe} */ (plain(detector.probe(head, file.size)));
  if (probe.format === "unknown") throw new ScreeningError(Code.NO_RECORDING, "no known format begins like this");
  if (probe.reader === "none") throw new ScreeningError(Code.UNSUPPORTED, `${probe.format} cannot be read here`);
  return probe;
}

/**
 * Post `question` and wait for the page's message of `kind`. One question at a time for each job.
 * @param {Job} job
 * @param {FromWorker} question
 * @param {FromPage["kind"]} kind
 * @returns {Promise<any>}
 */
function ask(job, question, kind) {
  return new Promise((resolve, reject) => {
    job.answer = (message) => {
      job.answer = null;
      if (message.kind === kind) resolve(message);
      else if (message.kind === Ask.UNDECODABLE) reject(new ScreeningError(message.code, message.message));
      else reject(new ScreeningError(Code.CANCELLED));
    };
    tell(question);
  });
}

/**
 * @param {any} detector
 * @param {File} file
 * @param {Job} job
 * @param {number} id
 * @returns {Promise<string>} hex SHA-256. Pyodide's hashlib, because crypto.subtle wants the whole file at once.
 */
async function digest(detector, file, job, id) {
  const hasher = detector.FileDigest();
  try {
    for (let offset = 0; offset < file.size; offset += SLICE_BYTES) {
      const slice = await file.slice(offset, offset + SLICE_BYTES).arrayBuffer();
      refuseCancelled(job);
      hasher.update(new Uint8Array(slice));
      progress(id, { phase: "reading", fraction: Math.min(1, (offset + SLICE_BYTES) / file.size) });
    }
    return hasher.hexdigest();
  } finally {
    hasher.destroy();
  }
}

/**
 * @param {number} id
 * @param {import("./protocol.js").Progress} value
 */
function progress(id, value) {
  tell({ kind: Tell.PROGRESS, job: id, progress: value });
}

/**
 * @typedef {{sampleRate: number, frames: number | null,
 *   push: (analysis: any, start: number, end: number) => Promise<any>}} Source
 */

/**
 * @param {{frames: number, sampleRate: number}} decoded what the page has
 * @param {Job} job
 * @param {number} id
 * @returns {Source}
 */
function pageSource({ frames, sampleRate }, job, id) {
  return {
    sampleRate,
    frames,
    async push(analysis, start, end) {
      const { samples } = await ask(job, { kind: Tell.WANT, job: id, start, end }, Ask.SAMPLES);
      return analysis.push(samples, start);
    },
  };
}

/**
 * @param {File} file
 * @param {Probe} probe of a WAV file: its frames are read here, slice by slice
 * @returns {Source & {layout: Probe}}
 */
function wavSource(file, probe) {
  const offset = probe.data_offset ?? 0;
  const size = probe.frame_bytes ?? 1;
  return {
    sampleRate: probe.sample_rate ?? 0,
    frames: probe.n_frames,
    layout: probe,
    async push(analysis, start, end) {
      const bytes = await file.slice(offset + start * size, offset + end * size).arrayBuffer();
      return analysis.push_wav(new Uint8Array(bytes), start);
    },
  };
}

/**
 * @param {any} detector
 * @param {Source & {layout?: Probe}} source
 * @param {Record<string, number>} facts what the container says, for the claim
 * @param {number} maxSeconds
 * @param {Job} job
 * @param {number} id
 * @param {{name: string, sha256: string}[]} [wheels] the operator's own signals
 */
async function analyse(detector, source, facts, maxSeconds, job, id, wheels) {
  const { sampleRate, frames, layout } = source;
  const total = frames === null ? undefined : frames / sampleRate;
  const analysis = detector.Analysis(sampleRate, total, maxSeconds, layout, facts, wheels);
  try {
    const planned = /** @type {[number, number][]} */ (plain(analysis.windows()));
    const windows = planned.map(([start, end]) => [start, Math.min(end, frames ?? end)]);
    const wanted = windows.reduce((sum, [start, end]) => sum + end - start, 0) / sampleRate;
    for (const [start, end] of pieces(windows, Math.round(CHUNK_S * sampleRate))) {
      const { analysed_s: seconds } = plain(await source.push(analysis, start, end));
      refuseCancelled(job);
      progress(id, { phase: "analysing", fraction: Math.min(1, seconds / wanted), seconds, total: wanted });
    }
    const finished = /** @type {Pick<import("./protocol.js").Outcome, "result"|"claim">} */ (plain(analysis.finish()));
    return { ...finished, peaks: /** @type {import("./protocol.js").Peaks} */ (plain(analysis.peaks())) };
  } finally {
    analysis.destroy();
  }
}

/**
 * @param {number[][]} windows in frames
 * @param {number} size frames of one piece
 */
function* pieces(windows, size) {
  for (const [start, end] of windows) {
    for (let at = start; at < end; at += size) yield [at, Math.min(end, at + size)];
  }
}
