// @ts-check
// The detector's home: a module worker that has the runtime loaded and analyses one piece of a recording at a time.
import { Ask, Code, ScreeningError, Tell, errorData } from "../protocol.js";
import { laterNotes } from "./boxes.js";
import { install } from "./extensions.js";
import { hear } from "./live.js";
import { Reader } from "./reader.js";
import { steady } from "./rolling.js";
import { endsEarly, measured, openCut, openHere } from "./route.js";
import { plain, start } from "./runtime.js";

/** @typedef {import("../protocol.js").FromPage} FromPage */
/** @typedef {import("../protocol.js").FromWorker} FromWorker */
/** @typedef {import("../protocol.js").Phase} Phase */
/** @typedef {import("../protocol.js").Peaks} Peaks */
/** @typedef {import("../protocol.js").Probe} Probe */

const HEAD_BYTES = 1 << 20; // What the container probe may need.
const REST_MS = 500;
const CHUNK_S = 4; // One segment of the detector: an even pace of progress and bounded memory.
const CHUNK_SAMPLES = 1 << 17; // Of all channels: a WAV's whole numbers and their squares are 8 bytes each.

/** @typedef {import("../protocol.js").Progress} Progress */
/** @typedef {import("../protocol.js").RollingHint} RollingHint */
/** @typedef {{id: number, cancelled: boolean, answer: ((message: FromPage) => void) | null}} Job */
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
  } else if (message.kind === Ask.HEAR) {
    follow(message.job, message.sampleRate, message.port, message.extensions);
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

/** @param {import("../protocol.js").Extensions} [extensions] */
async function loadWith(extensions) {
  const detector = await load();
  if (extensions) await install(detector, extensions);
  return detector;
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
 * @param {import("../protocol.js").Extensions} [extensions]
 */
async function screen(id, file, maxSeconds, extensions) {
  const job = begin(id);
  /** @type {Reader | undefined} */
  let reader;
  /** @type {Source | undefined} */
  let source;
  try {
    const clock = stopwatch();
    const detector = await load();
    refuseCancelled(job);
    clock.lap("load");
    const probe = await identify(detector, file);
    const told = teller(job);
    reader = new Reader(file, detector.FileDigest(), told.read);
    source = await sourceOf(file, probe, reader, job);
    clock.lap("decode");
    if (extensions) await install(detector, extensions);
    refuseCancelled(job);
    const finished = await analyse(detector, source, probe.facts, maxSeconds, told, extensions?.wheels);
    const sha256 = await reader.digest();
    clock.lap("analyse");
    const outcome = {
      ...finished,
      sha256,
      decoder: /** @type {string} */ (probe.reader),
      rate: probe.sample_rate ?? source.sampleRate, // As the file states it: the server knows no other before it decodes.
      detector: plain(detector.describe()),
      provenance: probe.provenance,
      times: clock.times,
    };
    tell({ kind: Tell.FINISHED, job: id, outcome });
  } catch (error) {
    tell({ kind: Tell.FAILED, job: id, ...errorData(error) });
  } finally {
    source?.close?.();
    reader?.close();
    end(job);
  }
}

/**
 * Hear a recording that is being made, until the page cancels.
 * @param {number} id
 * @param {number} sampleRate
 * @param {MessagePort} port where its samples come from
 * @param {import("../protocol.js").Extensions} [extensions] those that the detector needs
 */
async function follow(id, sampleRate, port, extensions) {
  const job = begin(id);
  const ended = new Promise((resolve) => (job.answer = resolve));
  try {
    await hear(loadWith(extensions), sampleRate, port, ended, (hint) => tell({ kind: Tell.HEARD, job: id, hint }));
  } catch (error) {
    tell({ kind: Tell.FAILED, job: id, ...errorData(error) });
  } finally {
    end(job);
  }
}

/** @param {number} id */
function begin(id) {
  /** @type {Job} */
  const job = { id, cancelled: false, answer: null };
  jobs.set(id, job);
  return job;
}

/** @param {Job} job */
function end({ id }) {
  jobs.delete(id);
  rest();
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
  const isMp4 = String.fromCharCode(...head.subarray(4, 8)) === "ftyp";
  const later = isMp4 && file.size > HEAD_BYTES ? await laterNotes(file, HEAD_BYTES) : new Uint8Array();
  const probe = /** @type {Probe} */ (plain(detector.probe(head, file.size, later)));
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
async function ask(job, question, kind) {
  refuseCancelled(job); // The page answers no question about a job that it has dropped.
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

/** @typedef {{read: (share: number) => void, heard: (seconds: number, total: number, hint: RollingHint | null, peaks: Peaks) => void}} Told */

/**
 * Every piece of work says how far it is: that is also how the page knows that this worker lives.
 * @param {Job} job
 * @returns {Told} both throw where the page has cancelled
 */
function teller(job) {
  const latest = steady();
  /** @type {Progress} */
  let progress = { phase: "reading", fraction: 0 };
  /** @param {Partial<Progress>} news */
  const say = (news) => {
    refuseCancelled(job);
    progress = { ...progress, ...news };
    tell({ kind: Tell.PROGRESS, job: job.id, progress });
  };
  return {
    read: (share) => say(progress.phase === "reading" ? { fraction: share } : {}),
    heard(seconds, total, newest, peaks) {
      const hint = latest(newest);
      say({ phase: "analysing", fraction: Math.min(1, seconds / total), seconds, total, peaks, ...(hint && { hint }) });
    },
  };
}

/**
 * @typedef {{sampleRate: number, frames: number | null, layout?: Probe, close?: () => void,
 *   push: (analysis: any, start: number, end: number) => Promise<any>}} Source `push` is asked for pieces in order
 */

/**
 * @param {File} file
 * @param {Probe} probe
 * @param {Reader} reader
 * @param {Job} job
 * @returns {Promise<Source>} of a WAV the file itself; else what is decoded here piece by piece, or, where this browser
 *   cannot, by the page; what is not a WAV is hashed meanwhile
 */
async function sourceOf(file, probe, reader, job) {
  if (probe.reader === "wav") return wavSource(reader, probe);
  reader.digest().catch(() => {}); // Awaited after the analysis; a failure before that is no unhandled one.
  const media = await openHere(file, probe, () => refuseCancelled(job));
  if (media) return mediaSource(media);
  if (endsEarly(probe)) {
    const cut = await openCut(file, probe, sections(job), () => refuseCancelled(job));
    if (cut) return mediaSource(cut);
  }
  const long = await measured(file, probe, () => refuseCancelled(job));
  const short = await ask(job, { kind: Tell.DECODE, job: job.id, probe: long }, Ask.DECODED).catch((error) => {
    // Too much at once, or its tables lie where only a demuxer finds them.
    if (error.code === Code.TOO_LARGE || (error.code === Code.UNSUPPORTED && !probe.sample_rate)) return error;
    throw error;
  });
  if (!(short instanceof Error)) return pageSource(short, job);
  const cut = await openCut(file, probe, sections(job), () => refuseCancelled(job));
  if (!cut) throw short;
  return mediaSource(cut);
}

/**
 * @param {Job} job
 * @returns {import("./sections.js").Decode} by the page
 */
function sections(job) {
  return async (bytes, sampleRate) => {
    const question = /** @type {const} */ ({ kind: Tell.SECTION, job: job.id, bytes, sampleRate });
    return (await ask(job, question, Ask.SAMPLES)).samples;
  };
}

/**
 * @param {{frames: number, sampleRate: number}} decoded what the page has
 * @param {Job} job
 * @returns {Source}
 */
function pageSource({ frames, sampleRate }, job) {
  return {
    sampleRate,
    frames,
    async push(analysis, start, end) {
      const { samples } = await ask(job, { kind: Tell.WANT, job: job.id, start, end }, Ask.SAMPLES);
      return analysis.push(samples, start);
    },
  };
}

/**
 * @param {import("./media.js").Media} media
 * @returns {Source}
 */
function mediaSource(media) {
  return {
    sampleRate: media.sampleRate,
    frames: media.frames,
    async push(analysis, start, end) {
      return analysis.push(await media.read(start, end), start);
    },
    close: () => media.close(),
  };
}

/**
 * @param {Reader} reader
 * @param {Probe} probe of a WAV file: its frames are taken from the file as it is read
 * @returns {Source}
 */
function wavSource(reader, probe) {
  const offset = probe.data_offset ?? 0;
  const size = probe.frame_bytes ?? 1;
  return {
    sampleRate: probe.sample_rate ?? 0,
    frames: probe.n_frames,
    layout: probe,
    async push(analysis, start, end) {
      return analysis.push_wav(await reader.read(offset + start * size, offset + end * size), start);
    },
  };
}

/**
 * @param {any} detector
 * @param {Source} source
 * @param {Record<string, number>} facts what the container says, for the claim
 * @param {number} maxSeconds
 * @param {Told} told
 * @param {{name: string, sha256: string}[]} [wheels] the operator's own signals
 */
async function analyse(detector, source, facts, maxSeconds, told, wheels) {
  const { sampleRate, frames, layout } = source;
  const total = frames === null ? undefined : frames / sampleRate;
  const analysis = detector.Analysis(sampleRate, total, maxSeconds, layout, facts, wheels);
  const peaks = () => /** @type {Peaks} */ (plain(analysis.peaks()));
  try {
    const planned = /** @type {[number, number][]} */ (plain(analysis.windows()));
    const windows = planned.map(([start, end]) => [start, Math.min(end, frames ?? end)]);
    const wanted = windows.reduce((sum, [start, end]) => sum + end - start, 0) / sampleRate;
    const most = Math.floor(CHUNK_SAMPLES / (layout?.channels ?? 1));
    for (const [start, end] of pieces(windows, Math.min(Math.round(CHUNK_S * sampleRate), most))) {
      const { analysed_s: seconds, hint } = plain(await source.push(analysis, start, end));
      told.heard(seconds, wanted, hint, peaks());
    }
    const finished = /** @type {Pick<import("../protocol.js").Outcome, "result"|"claim">} */ (plain(analysis.finish()));
    return { ...finished, peaks: peaks() };
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
