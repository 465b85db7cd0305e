// @ts-check
// Hears the sound of a long recording or of a video piece by piece: WebCodecs decodes, and memory holds some packets.
// The worker imports this module when there is something compressed to hear.
//
// A frame is counted as the server counts it: the first one that players play is 0. What an encoder put before it is
// skipped, and inside a stretch that is decoded without a jump frames follow each other, whatever the packets' times say.
import { webCodecs } from "./decoding.js";
import { openTrack } from "./demux.js";
import { FrameFile } from "./frames.js";
import { MediaError } from "./media-error.js";
import { bytesOf } from "./remux.js";

export { cutting } from "./sections.js";

/** @typedef {import("./decoding.js").Decoders} Decoders */
/** @typedef {import("./decoding.js").Packet} Packet */
/** @typedef {import("./decoding.js").Packets} Packets */
/** @typedef {import("./decoding.js").Timing} Timing */
/** @typedef {{config: AudioDecoderConfig, skip: number}} Unskipped */

// Formats without a table are walked through to their end.
const MOST_SECONDS = 12 * 3600;
const STRIDE_S = 600;
// Decode what lies between two windows, or jump; land early, so that codecs with memory settle.
const SEEK_GAP_S = 10;
const PREROLL_S = 2;
const OPUS_SKIP_AT = 10;

/**
 * @param {File} file
 * @param {string} format what the detector's probe says
 * @param {() => void} [check] called now and then; what it throws ends the opening
 * @param {Decoders} [decoders]
 * @returns {Promise<Media>}
 * @throws {MediaError} and whatever reading a file throws
 */
export async function openMedia(file, format, check = () => {}, decoders = webCodecs) {
  const isFrames = format === "mp3" || format === "aac";
  return isFrames ? openFrames(file, format, check, decoders) : openContainer(file, check, decoders);
}

/**
 * @param {File} file
 * @param {string} format what the detector's probe says
 * @param {() => void} check called now and then; what it throws ends the walk
 * @returns {Promise<number>} seconds that its packets last, whatever is stated of them
 * @throws {MediaError} and whatever reading a file throws
 */
export async function lengthOf(file, format, check) {
  if (format === "mp3" || format === "aac") {
    const frames = new FrameFile(file, format);
    if (!(await frames.walk(MOST_SECONDS, check))) throw tooLong();
    return frames.seconds;
  }
  const track = await openTrack(file, { ...webCodecs, isSupported: async () => true });
  try {
    const first = await track.packets.getFirstPacket();
    const last = first && (await lastPacket(track.packets, check, first.timestamp));
    return first && last ? last.timestamp + last.duration - first.timestamp : 0;
  } finally {
    track.close();
  }
}

/**
 * @param {File} file
 * @param {"mp3" | "aac"} format
 * @param {() => void} check
 * @param {Decoders} decoders
 */
async function openFrames(file, format, check, decoders) {
  const frames = new FrameFile(file, format);
  if (!(await frames.walk(MOST_SECONDS, check))) throw tooLong();
  const [config, first] = [frames.config, await frames.getFirstPacket()];
  if (!config || !first || !(await decoders.isSupported(config))) {
    throw new MediaError("unsupported", `${format} cannot be decoded here`);
  }
  const { sampleRate } = await decoders.tryOut(frames, config, first);
  const timing = { origin: 0, start: -frames.silence.before, ticks: 0 };
  const end = Math.round(frames.seconds * sampleRate) - frames.padding;
  return new Media(frames, config, timing, { sampleRate, frames: timing.start + end, decoders, close() {} });
}

/**
 * @param {File} file
 * @param {() => void} check
 * @param {Decoders} decoders
 */
async function openContainer(file, check, decoders) {
  const track = await openTrack(file, decoders);
  try {
    const { packets, isMp4, isMatroska, delay } = track;
    const { config, skip } = withoutSkip(track.config);
    const first = await packets.getFirstPacket();
    const last = first && (await lastPacket(packets, check, first.timestamp));
    if (!first || !last) throw new MediaError("invalid_waveform", "the sound track is empty");
    const { sampleRate, length } = await decoders.tryOut(packets, config, first);
    // The first packet of Opus may be said to be as long as what is played of it.
    const second = config.codec === "opus" ? await packets.getNextPacket(first) : null;
    const origin = second ? second.timestamp - length / sampleRate : first.timestamp;
    const edited = isMp4 ? Math.max(0, -first.timestamp) : delay;
    const timing = { origin, start: -Math.max(skip, Math.round(edited * sampleRate)), ticks: isMatroska ? sampleRate / 1000 : 0 };
    const end = last.timestamp + (last.duration || length / sampleRate) - origin;
    const frames = timing.start + Math.round(end * sampleRate);
    return new Media(packets, config, timing, { sampleRate, frames, decoders, close: track.close });
  } catch (error) {
    track.close();
    check(); // Whoever ended this, the file did not.
    throw error instanceof MediaError || error instanceof DOMException
      ? error
      : new MediaError("undecodable", String(error));
  }
}

function tooLong() {
  return new MediaError("too_large_to_decode", `longer than ${MOST_SECONDS / 3600} hours`);
}

/** The sound of one file. */
export class Media {
  #packets;
  #config;
  #timing;
  #close;
  #decoders;
  /** @type {import("./decoding.js").Pieces | null} */
  #decoding = null;
  /** Where the last read ended. */
  #readTo = -1;

  /**
   * @param {Packets} packets
   * @param {AudioDecoderConfig} config
   * @param {Timing} timing
   * @param {{sampleRate: number, frames: number, decoders?: Decoders, close: () => void}} about
   */
  constructor(packets, config, timing, { sampleRate, frames, decoders = webCodecs, close }) {
    if (frames <= 0) throw new MediaError("invalid_waveform", "the sound track is empty");
    this.#packets = packets;
    this.#config = config;
    this.#timing = timing;
    this.#close = close;
    this.#decoders = decoders;
    this.sampleRate = sampleRate;
    this.frames = frames;
  }

  /**
   * @param {number} start first frame; not before what was read last
   * @param {number} end frame after the last
   * @returns {Promise<Float32Array>} mean of the channels; shorter where the recording ends, or cannot be decoded further
   */
  async read(start, end) {
    const mono = new Float32Array(Math.max(0, Math.min(end, this.frames) - start));
    let filled = 0;
    const decoding = await this.#decodingFrom(start);
    this.#readTo = end;
    while (filled < mono.length) {
      const piece = await decoding.next();
      if (!piece) break;
      const from = Math.max(0, start + filled - piece.at);
      const taken = piece.samples.subarray(from, from + mono.length - filled);
      mono.set(taken, filled);
      filled += taken.length;
      const rest = piece.samples.subarray(from + taken.length);
      if (rest.length) decoding.unread({ at: start + filled, samples: rest });
    }
    return mono.subarray(0, filled).slice();
  }

  /** Let go of the decoder and of what was read. */
  close() {
    this.#decoding?.close();
    this.#close();
  }

  /**
   * @param {number} frame
   * @returns {Promise<import("./decoding.js").Pieces>} that has not yet gone past the frame, and is not far before it; where nothing is left
   *   out since the last read, the same, even if it came to an early end: inside a window there must be no gap
   */
  async #decodingFrom(frame) {
    const ahead = this.#decoding ? frame - this.#decoding.at : -1;
    const isNear = ahead >= 0 && ahead <= SEEK_GAP_S * this.sampleRate && !this.#decoding?.isOver;
    if (this.#decoding && (isNear || frame === this.#readTo)) return this.#decoding;
    this.#decoding?.close();
    const { origin, start } = this.#timing;
    const early = origin + (frame - start) / this.sampleRate - PREROLL_S;
    const found = early > origin ? await this.#packets.getPacket(early) : null;
    const packet = found ?? (await this.#packets.getFirstPacket());
    const about = { timing: this.#timing, sampleRate: this.sampleRate, isFirst: !found };
    this.#decoding = this.#decoders.begin(this.#packets, this.#config, packet, about);
    return this.#decoding;
  }
}

/**
 * Browsers skip the start of Opus after every jump, too: they are told that there is nothing to skip.
 * @param {AudioDecoderConfig} config
 * @returns {Unskipped}
 */
function withoutSkip(config) {
  if (config.codec !== "opus" || !config.description) return { config, skip: 0 };
  const description = bytesOf(config.description).slice();
  if (description.length < OPUS_SKIP_AT + 2) return { config, skip: 0 };
  const view = new DataView(description.buffer);
  const skip = view.getUint16(OPUS_SKIP_AT, true);
  view.setUint16(OPUS_SKIP_AT, 0, true);
  return { config: { ...config, description }, skip };
}

/**
 * @param {Packets} packets
 * @param {() => void} check
 * @param {number} start seconds: the first packet's timestamp, which in what was cut out of a stream may be hours
 * @returns {Promise<Packet | null>} the last packet that is there: a table may speak of more than the file holds
 */
async function lastPacket(packets, check, start) {
  let stated = null;
  for (let past = STRIDE_S; ; past += STRIDE_S) {
    check();
    const found = await packets.getPacket(start + past, { metadataOnly: true });
    if (found && stated && found.timestamp <= stated.timestamp) break;
    if (!found && past > STRIDE_S) break;
    stated = found ?? stated;
    if (past > MOST_SECONDS) throw tooLong();
  }
  if (!stated || (await isThere(packets, stated.timestamp))) return stated;
  let [low, high] = [start, stated.timestamp];
  while (high - low > 1) {
    check();
    const middle = (low + high) / 2;
    if (await isThere(packets, middle)) low = middle;
    else high = middle;
  }
  let last = await packets.getPacket(low).catch(() => null);
  for (let next = last; next; next = await packets.getNextPacket(next).catch(() => null)) last = next;
  return last;
}

/**
 * @param {Packets} packets
 * @param {number} seconds
 */
async function isThere(packets, seconds) {
  return (await packets.getPacket(seconds).catch(() => null)) !== null;
}

