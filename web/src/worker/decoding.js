// @ts-check
// Packets in, samples out: WebCodecs, with one decoder from a packet on until somebody jumps.
import { MediaError } from "./media-error.js";

/** @typedef {{data: Uint8Array, timestamp: number, duration: number}} Packet encoded sound; times in seconds */
/** @typedef {{
 *   getFirstPacket: () => Promise<Packet | null>,
 *   getPacket: (seconds: number, options?: {metadataOnly?: boolean}) => Promise<Packet | null>,
 *   getNextPacket: (packet: any) => Promise<Packet | null>,
 * }} Packets of one sound track, in order */
/** @typedef {{origin: number, start: number, ticks: number}} Timing how packets' times become frames: the first packet is at
 *   `origin` seconds and begins with the frame `start`, 0 or less; `ticks` are the frames of a tick of the container's clock */
/** @typedef {{
 *   isSupported: (config: AudioDecoderConfig) => Promise<boolean>,
 *   tryOut: (packets: Packets, config: AudioDecoderConfig, first: Packet) => Promise<{sampleRate: number, length: number}>,
 *   begin: (packets: Packets, config: AudioDecoderConfig, packet: Packet | null, about: About) => Pieces,
 * }} Decoders who decodes: WebCodecs here, or the page what is cut for it */
/** @typedef {{timing: Timing, sampleRate: number, isFirst: boolean}} About */
/** @typedef {{at: number, isOver: boolean, next: () => Promise<Piece | null>, unread: (piece: Piece) => void, close: () => void}} Pieces */
/** @typedef {{at: number, samples: Float32Array}} Piece `samples` of one channel, the first of them frame `at` */

const QUEUED = 16;
const MOST_DAMAGED = 2000; // Packets of three quarters of a minute; each costs a decoder.
const MOST_TRIES = 16;
const MOST_TRYING_MS = 5000; // A decoder that has said nothing of its first packets by then will not.

/** Decodes from one packet on, without a jump. */
export class Decoding {
  /** @type {AudioDecoder | null} */
  #decoder = null;
  /** @type {Piece[]} */
  #pieces = [];
  /** Given to the decoder, and nothing has come of it yet. @type {EncodedAudioChunk[]} */
  #sent = [];
  /** @type {Packet | null} */
  #packet;
  /** Frame of the next packet, and of the next sample to come. */
  #packetAt = NaN;
  #sampleAt = NaN;
  /** @type {number | undefined} */
  #firstAt;
  #damaged = 0;
  #isOver = false;
  #wake = () => {};

  /**
   * @param {Packets} packets
   * @param {AudioDecoderConfig} config
   * @param {Packet | null} packet
   * @param {About} about
   */
  constructor(packets, config, packet, { timing, sampleRate, isFirst }) {
    this.packets = packets;
    this.config = config;
    this.timing = timing;
    this.sampleRate = sampleRate;
    this.#packet = packet;
    if (packet) {
      this.#packetAt = isFirst ? timing.start : frameOf(packet, timing, sampleRate);
      // Nothing comes of the first packet of Vorbis: it overlaps with the next one.
      if (config.codec === "vorbis") this.#firstAt = this.#packetAt + Math.round(packet.duration * sampleRate);
    }
    this.at = Math.max(0, this.#packetAt);
  }

  /** @returns {Promise<Piece | null>} what comes next of frame 0 and later, null at the end */
  async next() {
    while (!this.#pieces.length) {
      if (this.#isOver) return null;
      await this.#feed();
    }
    const piece = /** @type {Piece} */ (this.#pieces.shift());
    this.at = piece.at + piece.samples.length;
    return piece;
  }

  /** Whether nothing more will come: the end, or damage. */
  get isOver() {
    return this.#isOver && !this.#pieces.length;
  }

  /** @param {Piece} piece */
  unread(piece) {
    this.#pieces.unshift(piece);
    this.at = piece.at;
  }

  close() {
    this.#isOver = true;
    if (this.#decoder?.state === "configured") this.#decoder.close();
    this.#decoder = null;
    this.#pieces = [];
  }

  /** Give the decoder one more packet, or wait until it has room for one. */
  async #feed() {
    const decoder = (this.#decoder ??= this.#start());
    if (decoder.decodeQueueSize >= QUEUED) {
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
        decoder.addEventListener("dequeue", this.#wake, { once: true });
      });
    } else if (this.#packet) {
      this.#send(chunkOf(this.#packet, (this.#packetAt - this.timing.start) / this.sampleRate));
      this.#packetAt += Math.round(this.#packet.duration * this.sampleRate);
      this.#packet = await this.packets.getNextPacket(this.#packet).catch(() => null);
    } else {
      await decoder.flush().catch(() => {});
      if (!this.#sent.length || this.#decoder === decoder) this.#isOver = true;
    }
  }

  /** @param {EncodedAudioChunk} chunk */
  #send(chunk) {
    this.#sent.push(chunk);
    try {
      (this.#decoder ??= this.#start()).decode(chunk);
    } catch {
      this.#skipDamaged();
    }
  }

  #start() {
    const decoder = new AudioDecoder({
      output: (data) => this.#take(data),
      error: () => {
        if (this.#decoder === decoder) this.#skipDamaged();
      },
    });
    decoder.configure(this.config);
    return decoder;
  }

  /** The decoder has died of a packet: another one goes on after it. */
  #skipDamaged() {
    this.#decoder = null;
    this.#damaged += 1;
    const again = this.#sent.slice(1);
    this.#sent = [];
    if (this.#damaged > MOST_DAMAGED) this.#isOver = true;
    else for (const chunk of again) this.#send(chunk);
    this.#wake();
  }

  /** @param {AudioData} data */
  #take(data) {
    if (this.#isOver || data.sampleRate !== this.sampleRate) {
      this.#isOver = true; // Another rate begins: what follows is another recording.
      data.close();
      return;
    }
    if (!data.numberOfFrames) return data.close(); // What Firefox makes of the first packet of Vorbis.
    while (this.#sent.length && this.#sent[0].timestamp <= data.timestamp) this.#sent.shift();
    const samples = monoOf(data);
    if (Number.isNaN(this.#sampleAt)) {
      this.#sampleAt = this.#firstAt ?? this.timing.start + Math.round((data.timestamp * this.sampleRate) / 1e6);
    }
    data.close();
    const early = Math.max(0, -this.#sampleAt);
    if (early < samples.length) this.#pieces.push({ at: this.#sampleAt + early, samples: samples.subarray(early) });
    this.#sampleAt += samples.length;
  }
}

/**
 * @param {AudioData} data
 * @returns {Float32Array} mean of the channels
 */
function monoOf(data) {
  const count = data.numberOfChannels;
  const mono = new Float32Array(data.numberOfFrames);
  data.copyTo(mono, { planeIndex: 0, format: "f32-planar" });
  if (count === 1) return mono;
  const other = new Float32Array(mono.length);
  for (let channel = 1; channel < count; channel += 1) {
    data.copyTo(other, { planeIndex: channel, format: "f32-planar" });
    for (let i = 0; i < mono.length; i += 1) mono[i] += other[i];
  }
  for (let i = 0; i < mono.length; i += 1) mono[i] /= count;
  return mono;
}

/**
 * @param {Packets} packets
 * @param {AudioDecoderConfig} config
 * @param {Packet} first
 * @returns {Promise<{sampleRate: number, length: number}>} the rate that comes out (AAC with spectral band replication
 *   doubles the stated one), and the frames of the first packet
 */
async function tryOut(packets, config, first) {
  /** @type {unknown} */
  let failure;
  /** @type {Packet | null} */
  let packet = first;
  for (let tries = 0; tries < MOST_TRIES && packet; tries += 1) {
    const tried = await decodeSome(packets, config, packet);
    if (tried.sampleRate) return tried;
    failure ??= tried.failure;
    packet = tried.next; // The first ones may be damaged.
  }
  throw new MediaError("undecodable", String(failure ?? "nothing could be decoded"));
}

/**
 * @param {Packets} packets
 * @param {AudioDecoderConfig} config
 * @param {Packet | null} packet
 */
async function decodeSome(packets, config, packet) {
  let [sampleRate, length] = [0, 0];
  /** @type {unknown} */
  let failure;
  const decoder = new AudioDecoder({
    output(data) {
      sampleRate ||= data.sampleRate;
      length ||= data.numberOfFrames;
      data.close();
    },
    error: (error) => (failure = error),
  });
  decoder.configure(config);
  for (let n = 0; n < QUEUED && packet && !failure; n += 1) {
    decoder.decode(chunkOf(packet, Math.max(0, packet.timestamp)));
    packet = await packets.getNextPacket(packet).catch(() => null);
  }
  const flushed = decoder.flush().catch((error) => (failure ??= error));
  const isOver = await within(MOST_TRYING_MS, flushed);
  if (decoder.state !== "closed") decoder.close();
  if (!isOver && !sampleRate) throw new MediaError("undecodable", "the decoder does not answer");
  return { sampleRate, length, failure, next: packet };
}

/**
 * @param {number} ms
 * @param {Promise<unknown>} promise
 * @returns {Promise<boolean>} whether it is kept by then
 */
function within(ms, promise) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    promise.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/**
 * @param {Packet} packet
 * @param {Timing} timing
 * @param {number} sampleRate
 * @returns {number} the frame that its first sample is. WebM counts in milliseconds; packets all of one length give the
 *   exact place back.
 */
export function frameOf(packet, { origin, start, ticks }, sampleRate) {
  const frame = Math.round((packet.timestamp - origin) * sampleRate);
  const length = Math.round(packet.duration * sampleRate);
  const snapped = length ? Math.round(frame / length) * length : frame;
  return start + (Math.abs(snapped - frame) <= ticks ? snapped : frame);
}

/**
 * @param {Packet} packet
 * @param {number} seconds not below 0: WebKitGTK gives other times back than the negative ones that it was given
 */
function chunkOf({ data, duration }, seconds) {
  const [timestamp, length] = [seconds, duration].map((each) => Math.round(each * 1e6));
  return new EncodedAudioChunk({ type: "key", timestamp, duration: length, data });
}

/** @type {Decoders} */
export const webCodecs = {
  isSupported: async (config) => Boolean((await AudioDecoder.isConfigSupported(config).catch(() => null))?.supported),
  tryOut,
  begin: (packets, config, packet, about) => new Decoding(packets, config, packet, about),
};
