// @ts-check
// Packets in, samples out, where there is no WebCodecs: some seconds at a time become a small file of their own, which the
// page decodes.
import { Code } from "../protocol.js";
import { frameOf } from "./decoding.js";
import { MediaError } from "./media-error.js";
import { writerFor } from "./remux.js";

/** @typedef {import("./decoding.js").Decoders} Decoders */
/** @typedef {import("./decoding.js").Packet} Packet */
/** @typedef {import("./decoding.js").Packets} Packets */
/** @typedef {import("./decoding.js").Piece} Piece */
/** @typedef {import("./decoding.js").Timing} Timing */
/** @typedef {(bytes: Uint8Array<ArrayBuffer>, sampleRate: number) => Promise<Float32Array>} Decode a small file becomes its samples,
 *   the mean of its channels */

const SECTION_S = 6;
const SETTLE_S = 1; // Heard again before each further section, so that codecs with memory settle.
const TRIED_PACKETS = 16;
const MOST_TRIES = 8;

/**
 * @param {Decode} decode
 * @returns {Decoders} that cut
 */
export function cutting(decode) {
  return {
    isSupported: async (config) => writerFor(config) !== null,
    async tryOut(packets, config, first) {
      const { rate, lengthOf, file } = writer(config);
      let packet = /** @type {Packet | null} */ (first);
      for (let tries = 0; tries < MOST_TRIES && packet; tries += 1) {
        const some = [];
        while (packet && some.length < TRIED_PACKETS) {
          some.push(packet);
          packet = await packets.getNextPacket(packet).catch(() => null);
        }
        const samples = await decode(file(some), rate).catch(passedOver); // The first ones may be damaged.
        if (samples.length) return { sampleRate: rate, length: lengthOf(first) };
      }
      throw new MediaError("undecodable", "nothing could be decoded");
    },
    begin: (packets, config, packet, about) => new Sections(packets, writer(config), packet, { ...about, decode }),
  };
}

/** @param {AudioDecoderConfig} config */
function writer(config) {
  const found = writerFor(config);
  if (!found) throw new MediaError("unsupported", `${config.codec} cannot be cut`);
  return found;
}

/** Decodes from one packet on, without a jump. */
class Sections {
  /** @type {Piece[]} */
  #pieces = [];
  /** The packets of the last seconds. @type {Packet[]} */
  #before = [];
  /** @type {Packet | null} */
  #packet;
  /** Samples of each channel that a packet stands for. @type {WeakMap<Packet, number>} */
  #lengths = new WeakMap();
  /** Frame of the next packet. */
  #packetAt = NaN;

  /**
   * @param {Packets} packets
   * @param {import("./remux.js").Writer} writer
   * @param {Packet | null} packet
   * @param {{timing: Timing, sampleRate: number, isFirst: boolean, decode: Decode}} about
   */
  constructor(packets, writer, packet, { timing, sampleRate, isFirst, decode }) {
    this.packets = packets;
    this.timing = timing;
    this.writer = writer;
    this.sampleRate = sampleRate;
    this.decode = decode;
    this.#packet = packet;
    if (packet) this.#packetAt = isFirst ? timing.start : frameOf(packet, timing, sampleRate);
    this.at = Math.max(0, this.#packetAt);
  }

  /** @returns {Promise<Piece | null>} what comes next of frame 0 and later, null at the end */
  async next() {
    while (!this.#pieces.length) {
      if (!this.#packet) return null;
      await this.#section();
    }
    const piece = /** @type {Piece} */ (this.#pieces.shift());
    this.at = piece.at + piece.samples.length;
    return piece;
  }

  /** Whether nothing more will come: the end, or damage. */
  get isOver() {
    return !this.#packet && !this.#pieces.length;
  }

  /** @param {Piece} piece */
  unread(piece) {
    this.#pieces.unshift(piece);
    this.at = piece.at;
  }

  close() {
    this.#packet = null;
    this.#pieces = [];
  }

  async #section() {
    const { lengthOf, file } = this.writer;
    const packets = this.#before;
    const start = this.#packetAt;
    while (this.#packet && this.#packetAt - start < SECTION_S * this.sampleRate) {
      const packet = this.#packet;
      const next = await this.packets.getNextPacket(packet).catch(() => null);
      // The last of a Matroska cluster may state no duration: then it lasts until the next one.
      const stated = lengthOf(packet) || (next && frameOf(next, this.timing, this.sampleRate) - this.#packetAt);
      const length = Math.max(0, stated || (this.#lengths.get(packets.at(-1) ?? packet) ?? 0));
      this.#lengths.set(packet, length);
      packets.push(packet);
      this.#packetAt += length;
      this.#packet = next;
    }
    const total = packets.reduce((sum, packet) => sum + (this.#lengths.get(packet) ?? 0), 0);
    const samples = await this.decode(file(packets), this.sampleRate).catch(passedOver);
    this.#before = lastOf(packets, SETTLE_S);
    if (total - samples.length < SETTLE_S * this.sampleRate) this.#take(samples, start, total);
    else this.#packet = null; // Damaged: nobody knows which of it is missing.
  }

  /**
   * What is missing, decoders have left out at the start, where they settle; what is too much came behind the end.
   * @param {Float32Array} samples
   * @param {number} start frame of the first sample that is wanted
   * @param {number} total samples that the packets stand for
   */
  #take(samples, start, total) {
    const at = this.#packetAt - total + Math.max(0, total - samples.length);
    const from = Math.max(0, start);
    const piece = new Float32Array(Math.max(0, this.#packetAt - from));
    const known = samples.subarray(Math.max(0, from - at), Math.max(0, this.#packetAt - at));
    piece.set(known, piece.length - known.length);
    if (piece.length) this.#pieces.push({ at: from, samples: piece });
  }
}

/**
 * @param {{code?: string}} error
 * @returns {Float32Array} nothing, of a section that cannot be decoded
 */
function passedOver(error) {
  if (error.code === Code.UNDECODABLE) return new Float32Array();
  throw error;
}

/**
 * @param {Packet[]} packets
 * @param {number} seconds
 */
function lastOf(packets, seconds) {
  const last = packets.at(-1)?.timestamp ?? 0;
  return packets.filter(({ timestamp }) => last - timestamp < seconds);
}
