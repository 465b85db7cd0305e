// @ts-check
// What the page and the worker say to each other. Both sides import this file.
//
//   page                                worker
//   screen {file}             ->
//                             <-        loading {loaded, total}      bytes of the runtime, as they arrive
//                             <-        alive                        after each step of its start
//                             <-        decode {probe}               only where the worker has no decoder for it
//   decoded {frames, rate}    ->        (meanwhile the worker hashes the file)
//                             <-        want {start, end}            one piece at a time: memory stays bounded
//                             <-        section {bytes, sampleRate}  instead of both, where all at once would be too much
//   samples {samples, start}  ->
//                             <-        progress {phase, fraction}
//                             <-        finished {result, claim}     or failed {code, message}
//   cancel                    ->        at any time
//
//   hear {sampleRate, port}   ->        a recording that is being made; its samples come through the port
//                             <-        heard {hint}                 as the band comes and changes; without: the end
//   cancel                    ->        the recording has ended

/** Kinds of message from the page. */
export const Ask = /** @type {const} */ ({
  LOAD: "load",
  SCREEN: "screen",
  DECODED: "decoded",
  UNDECODABLE: "undecodable",
  SAMPLES: "samples",
  HEAR: "hear",
  CANCEL: "cancel",
});

/** Kinds of message from the worker. */
export const Tell = /** @type {const} */ ({
  LOADING: "loading",
  ALIVE: "alive",
  READY: "ready",
  DECODE: "decode",
  WANT: "want",
  SECTION: "section",
  PROGRESS: "progress",
  HEARD: "heard",
  FINISHED: "finished",
  FAILED: "failed",
});

/** Codes of what may go wrong. Each has a sentence `error.<code>` in the catalogue. */
export const Code = /** @type {const} */ ({
  CANCELLED: "cancelled",
  CRASHED: "worker_crashed",
  EMPTY: "empty_file",
  FAILED: "detector_failed",
  LOAD: "load_failed",
  NO_RECORDING: "unreadable_container",
  OFFLINE: "offline",
  STALE: "stale",
  TIMEOUT: "timeout",
  TOO_LARGE: "too_large_to_decode",
  UNDECODABLE: "undecodable",
  UNSUPPORTED: "unsupported",
});

/**
 * @typedef {{id: string, sha256?: string}} Detector
 * @typedef {{code: string, weight: number, ranges: [number, number][], params: Record<string, string|number>}} Reason
 * @typedef {{start_s: number, end_s: number, spoof_score: number|null}} Segment
 * @typedef {{analysed_s: number, total_s: number|null, speech_s: number}} Coverage
 * @typedef {"clear"|"elevated"|"high"|"inconclusive"} Band
 * @typedef {{generators: string[], encoder: string|null, content_credentials: boolean}} Provenance what the file's own
 *   notes say: nobody has checked it
 * @typedef {{spoof_score: number|null, band: Band, reasons: Reason[], segments: Segment[], coverage: Coverage,
 *   detector: string, provenance?: Provenance}} Result
 * @typedef {"loading"|"reading"|"analysing"} Phase
 * @typedef {{band: Exclude<Band, "inconclusive">, speech_s: number}} RollingHint what was heard so far sounds like; the
 *   result may differ. It stands from the first seconds of speech on, and another one comes once a second at most
 * @typedef {{phase: Phase, fraction: number, seconds?: number, total?: number|null, loaded?: number,
 *   hint?: RollingHint, peaks?: Peaks}} Progress `peaks` of what was heard so far
 * @typedef {{format: string, codec: string|null, sample_rate: number|null, channels: number|null,
 *   duration_s: number|null, reader: "wav"|"page"|"none", data_offset: number|null, n_frames: number|null,
 *   frame_bytes: number|null, predicted_pcm_bytes: number|null, facts: Record<string, number>,
 *   provenance?: Provenance}} Probe
 * @typedef {{windows: [number, number][], values: Uint8Array}} Peaks lowest and highest of up to 512 equal stretches of
 *   the windows heard, joined end to end; 128 is zero, 0 is -1, 255 is +1
 * @typedef {{result: Result, claim: Record<string, unknown>, sha256: string, decoder: string, rate: number,
 *   detector: Detector, peaks?: Peaks, provenance?: Provenance, times: Record<string, number>}} Outcome
 */

/**
 * @typedef {{file: string, sha256: string}} Listed a wheel that the challenge names
 * @typedef {{installer: Listed[], wheels: (Listed & {name: string})[]}} Extensions
 */

/**
 * @typedef {{kind: "load"}
 *   | {kind: "screen", job: number, file: File, maxSeconds: number, extensions?: Extensions}
 *   | {kind: "decoded", job: number, frames: number, sampleRate: number}
 *   | {kind: "undecodable", job: number, code: string, message: string}
 *   | {kind: "samples", job: number, start: number, samples: Float32Array}
 *   | {kind: "hear", job: number, sampleRate: number, port: MessagePort, extensions?: Extensions}
 *   | {kind: "cancel", job: number}} FromPage
 *
 * @typedef {{kind: "loading", loaded: number, total: number}
 *   | {kind: "alive"}
 *   | {kind: "ready", detector: Detector, start: "cold"|"snapshot", times: Record<string, number>}
 *   | {kind: "decode", job: number, probe: Probe}
 *   | {kind: "want", job: number, start: number, end: number}
 *   | {kind: "section", job: number, bytes: Uint8Array<ArrayBuffer>, sampleRate: number}
 *   | {kind: "progress", job: number, progress: Progress}
 *   | {kind: "heard", job: number, hint?: RollingHint | null}
 *   | {kind: "finished", job: number, outcome: Outcome}
 *   | {kind: "failed", job: number|null, code: string, message: string}} FromWorker
 */

/** A failure that crosses the worker as data: a stable code, and a message for the console. */
export class ScreeningError extends Error {
  /**
   * @param {string} code one of `Code`, or a code of the detector's own
   * @param {string} [message]
   */
  constructor(code, message = code) {
    super(message);
    this.name = "ScreeningError";
    this.code = code;
  }
}

/** Pyodide names the class of a Python error: the first two are about the recording, the last about the site. @type {Record<string, string>} */
const DETECTOR_ERRORS = {
  InvalidWaveformError: "invalid_waveform",
  UnreadableContainerError: "unreadable_container",
  ModelError: "model_error",
};

/**
 * @param {unknown} error
 * @returns {{code: string, message: string}} what is said of it to the other side
 */
export function errorData(error) {
  if (error instanceof ScreeningError) return { code: error.code, message: error.message };
  if (error instanceof DOMException && (error.name === "NotReadableError" || error.name === "NotFoundError")) {
    return { code: Code.STALE, message: error.message };
  }
  const { type = "", message = String(error) } = /** @type {{type?: string, message?: string}} */ (error);
  return { code: DETECTOR_ERRORS[type] ?? Code.FAILED, message };
}
