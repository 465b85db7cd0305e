// @ts-check
// Recording with the microphone: the recording becomes the input's file. Loaded with the lazy parts.
import { clock, fill } from "../panel/words.js";
import { focusPart, putFiles } from "./handover.js";

/** @typedef {{html: typeof import("lit").html, nothing: typeof import("lit").nothing}} Lit */
/** @typedef {import("../protocol.js").RollingHint} RollingHint */
/**
 * @typedef {{
 *   element: import("lit").LitElement & {input: HTMLInputElement | null},
 *   host: import("./file-check.js").Host,
 *   isHeard: () => boolean,
 *   changed: () => void,
 *   say: (key: string) => void,
 * }} Listener
 */

// The first that the browser can write. All are read by the browsers' own decoders, and by the server's.
const TYPES = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];
const BITS_PER_S = 128_000;
// What a speaker's own processing removes and adds is what the detector listens for.
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const LONGEST_S = 600;
const LEVEL_EVERY_MS = 100;
const MICROPHONE = new URL("microphone.js", import.meta.url).href;
const SHOWN_DB = 60; // The meter begins so far below full scale, as loudness is heard.
const QUIET_BELOW = 0.004; // Of full scale: a microphone that is switched off, or the wrong one.
const QUIET_AFTER_S = 3;

/** What a browser's refusal means. @type {Record<string, string>} */
const CODES = {
  NotAllowedError: "microphone_denied",
  NotFoundError: "microphone_missing",
  NotSupportedError: "microphone_unsupported",
  OverconstrainedError: "microphone_missing",
  SecurityError: "microphone_denied",
};

export class Recorder {
  /** @type {"idle"|"asking"|"recording"} */
  #state = "idle";
  /** The key of the sentence below, or "". */
  #note = "";
  #level = 0;
  #loudest = 0;
  #startedAt = 0;
  /** @type {MediaRecorder | null} */
  #recorder = null;
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {AudioContext | null} */
  #audio = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {Promise<void>} */
  #ended = Promise.resolve();
  #settle = () => {};
  /** What it sounds like so far: null before there is anything to say, nothing where nobody listens. */
  #hint = /** @type {RollingHint | null | undefined} */ (undefined);
  #unhear = () => {};

  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
  }

  get isRecording() {
    return this.#state === "recording";
  }

  get #seconds() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  get #isAsking() {
    return this.#state === "asking";
  }

  /** Ask for the microphone and begin. Never rejects: what is in the way is said. */
  async start() {
    if (this.#state !== "idle") return;
    const obstacle = obstacleHere();
    if (obstacle) return this.#refuse(obstacle);
    this.#show("asking", "ui.record.asking");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
      if (this.#isAsking) this.#begin(stream);
      else stop(stream); // Given up meanwhile.
    } catch (error) {
      const { name } = /** @type {DOMException} */ (error);
      this.discard();
      this.#refuse(CODES[name] ?? "microphone_busy");
    }
  }

  /** End the recording and hand it on; resolves when the input has it. */
  async stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
    return this.#ended;
  }

  /** End without keeping anything. */
  discard() {
    if (this.#recorder) this.#recorder.ondataavailable = this.#recorder.onstop = null;
    if (this.#recorder?.state === "recording") this.#recorder.stop();
    const was = this.#state;
    this.#release();
    if (was !== "idle") this.#show("idle", "");
  }

  /** @param {MediaStream} stream */
  #begin(stream) {
    this.#stream = stream; // Let go of, whatever fails from here on.
    const [mimeType, ending] = TYPES.find(([mime]) => MediaRecorder.isTypeSupported(mime)) ?? TYPES[0];
    const recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_PER_S, mimeType });
    /** @type {Blob[]} */
    const pieces = [];
    this.#recorder = recorder;
    this.#startedAt = performance.now();
    this.#level = this.#loudest = 0;
    recorder.ondataavailable = ({ data }) => data.size && pieces.push(data);
    recorder.onerror = () => this.#end("error.microphone_busy");
    this.#ended = new Promise((resolve) => (this.#settle = resolve));
    recorder.onstop = () => {
      const file = new File(pieces, `recording.${ending}`, { type: recorder.mimeType.split(";")[0] });
      focusPart(this.listener.element, "input");
      this.#release();
      this.#show("idle", file.size ? this.#note : "error.nothing_recorded");
      const { input } = this.listener.element;
      if (file.size && input) putFiles(input, file);
    };
    stream.getAudioTracks()[0].onended = () => this.#end("error.microphone_lost");
    document.addEventListener("visibilitychange", this.#hidden);
    recorder.start();
    this.#listen(stream);
    this.#hear(stream).catch(() => {}); // Costs the first impression alone.
    this.#show("recording", "");
    this.listener.say("ui.recording");
    focusPart(this.listener.element, "stop-button");
  }

  #hidden = () => {
    if (document.hidden) this.#end("ui.record.ended.hidden");
  };

  /** @param {string} note why it ended, where the person did not say so */
  #end(note) {
    clearInterval(this.#timer);
    this.#note = note;
    this.stop();
    this.listener.say(note);
  }

  /** @param {MediaStream} stream whose level is shown */
  #listen(stream) {
    const loudness = this.#meter(stream);
    this.#timer = setInterval(() => {
      if (this.#seconds >= LONGEST_S) return this.#end("ui.record.ended.limit");
      this.#level = loudness ? loudness() : 0;
      this.#loudest = Math.max(this.#loudest, this.#level);
      const isQuiet = loudness && this.#seconds > QUIET_AFTER_S && this.#loudest < QUIET_BELOW;
      if (isQuiet && !this.#note) this.listener.say("ui.record.quiet");
      this.#note = isQuiet ? "ui.record.quiet" : "";
      return this.listener.changed();
    }, LEVEL_EVERY_MS);
  }

  /**
   * @param {MediaStream} stream
   * @returns {(() => number) | null} the peak of the last moments, 0 to 1; null where this browser cannot measure it:
   *   some refuse a microphone whose rate is not the context's
   */
  #meter(stream) {
    try {
      this.#audio = new AudioContext();
      const analyser = this.#audio.createAnalyser();
      this.#audio.createMediaStreamSource(stream).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      return () => {
        analyser.getFloatTimeDomainData(samples);
        return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      };
    } catch {
      return null;
    }
  }

  /**
   * Have it heard while it is made, where the page wants that; from the moment on when the detector is there.
   * @param {MediaStream} stream
   */
  async #hear(stream) {
    const audio = this.#audio;
    if (!audio?.audioWorklet || !this.listener.isHeard()) return;
    const { client, session } = await this.listener.host.load();
    const allowed = await session.challenge().catch(() => null); // It tells whether anything may be shown.
    if (!allowed || session.fixed || session.ui.show === "nothing") return;
    await audio.audioWorklet.addModule(MICROPHONE);
    if (audio !== this.#audio) return; // The recording has ended meanwhile.
    const node = new AudioWorkletNode(audio, "prelisten-microphone", { numberOfOutputs: 0 });
    audio.createMediaStreamSource(stream).connect(node);
    const told = (/** @type {RollingHint | null | undefined} */ hint) => {
      this.#hint = hint;
      this.listener.changed();
    };
    this.#unhear = client.hear(audio.sampleRate, node.port, told, session.extensions);
  }

  /** Let go of the microphone: the browser's own sign of it disappears. */
  #release() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#hidden);
    if (this.#stream) stop(this.#stream);
    this.#unhear();
    this.#unhear = () => {};
    this.#hint = undefined;
    this.#audio?.close();
    this.#recorder = this.#stream = this.#audio = null;
    this.#state = "idle";
    this.#settle(); // Who waits goes on when the file is handed on, or will never be.
  }

  /** @param {string} code */
  #refuse(code) {
    this.#show("idle", `error.${code}`);
    this.listener.say(`error.${code}`);
  }

  /**
   * @param {"idle"|"asking"|"recording"} state
   * @param {string} note
   */
  #show(state, note) {
    this.#state = state;
    this.#note = note;
    this.listener.changed();
  }

  /**
   * @param {Record<string, string>} strings
   * @param {string} language
   * @param {boolean} isOff
   * @param {Lit} lit
   */
  render(strings, language, isOff, lit) {
    const { html, nothing } = lit;
    const isError = this.#note.startsWith("error.");
    const note = this.#note && html`<p part="record-note" class=${isError ? "note problem-text" : "note"}>${strings[this.#note]}</p>`;
    if (!this.isRecording) {
      return html`<div class="record">
        <button part="record-button" type="button" ?disabled=${isOff} @click=${() => this.start()}>${strings["ui.record"]}</button>
        ${note || nothing}
      </div>`;
    }
    return html`<div class="record" part="recording">
      <p class="recording">
        <span class="live">${strings["ui.recording"]}</span>
        <span class="number soft">${clock(this.#seconds, language)}</span>
        <meter part="level" class="level" min="0" max="1" .value=${shown(this.#level)} aria-label=${strings["ui.record.level"]}></meter>
      </p>
      ${this.#impression(strings, language, lit)}
      <button part="stop-button" type="button" @click=${() => this.stop()}>${strings["ui.record.stop"]}</button>
      <button part="discard-button" type="button" @click=${() => this.#discarded()}>${strings["ui.record.discard"]}</button>
      ${note || nothing}
    </div>`;
  }

  /**
   * @param {Record<string, string>} strings
   * @param {string} language
   * @param {Lit} lit
   */
  #impression(strings, language, { html, nothing }) {
    if (this.#hint === undefined || this.#note) return nothing;
    const band = this.#hint && strings[`band.${this.#hint.band}`];
    const text = band ? fill(strings["ui.rolling"], { band }, language) : strings["ui.rolling.waiting"];
    return html`<p part="rolling" class="note">${text}</p>`;
  }

  #discarded() {
    focusPart(this.listener.element, "record-button");
    this.discard();
  }
}

/** @param {number} level */
function shown(level) {
  return Math.max(0, 1 + (20 * Math.log10(level || 1e-9)) / SHOWN_DB);
}

/** @returns {string} why nothing can be recorded here, or "" */
function obstacleHere() {
  if (!isSecureContext) return "microphone_insecure";
  const isThere = navigator.mediaDevices && typeof MediaRecorder === "function";
  // Asked first: nobody should allow a microphone for nothing.
  return isThere && TYPES.some(([mime]) => MediaRecorder.isTypeSupported(mime)) ? "" : "microphone_unsupported";
}

/** @param {MediaStream} stream */
function stop(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
