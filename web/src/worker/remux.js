// @ts-check
// Packets of one codec become a small file that decodeAudioData takes: MP3 and ADTS frames as they are, AAC of an MP4 with
// a header before each, Opus and Vorbis in pages of Ogg, FLAC behind its first block.

/** @typedef {import("./decoding.js").Packet} Packet */
/** @typedef {{rate: number, lengthOf: (packet: Packet) => number, file: (packets: Packet[]) => Uint8Array<ArrayBuffer>}}
 *   Writer
 *   `rate` in Hz; `lengthOf` are the samples of each channel that a packet stands for */

const AAC_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const AAC_FRAMES = 1024;
const [AAC_LC, SBR, PS] = [2, 5, 29];
const OPUS_RATE = 48_000;
const OPUS_SKIP_AT = 10;
const PAGE_HEAD_BYTES = 27;
const MOST_SEGMENTS = 255;
const SEGMENT_BYTES = 255;
const [PAGE_FIRST, PAGE_LAST] = [2, 4];
const FLAC_HEAD_BYTES = 42; // The mark, and the first block with its header.

/**
 * @param {AudioDecoderConfig} config
 * @returns {Writer | null} null where it cannot be cut
 */
export function writerFor(config) {
  const { codec, sampleRate: rate } = config;
  const description = config.description && bytesOf(config.description);
  /** @param {Packet} packet */
  const stated = ({ duration }) => Math.round(duration * rate);
  if (codec === "mp3") return { rate, lengthOf: stated, file: join };
  if (codec.startsWith("mp4a.40.")) return aacWriter(rate, description);
  if (codec === "opus") return opusWriter(config.numberOfChannels, description);
  if (codec === "vorbis" && description) return vorbisWriter(rate, stated, description);
  if (codec === "flac" && description) return flacWriter(rate, stated, description);
  return null;
}

/** @param {Packet[]} packets */
function join(packets) {
  return joined(packets.map(({ data }) => data));
}

/**
 * @param {Uint8Array[]} parts
 */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {number} rate that is stated: with spectral band replication, that of the inner codec or twice as much
 * @param {Uint8Array} [description] AudioSpecificConfig; absent where the frames have their headers
 * @returns {Writer | null}
 */
function aacWriter(rate, description) {
  if (!description) return { rate, lengthOf: () => AAC_FRAMES, file: join };
  const [first = 0, second = 0, third = 0] = description;
  let type = first >> 3;
  const place = ((first & 7) << 1) | (second >> 7);
  const channels = (second >> 3) & 15;
  const core = AAC_RATES[place];
  if (type === SBR || type === PS) type = (third >> 2) & 31; // Behind four bits of the outer rate.
  if (type !== AAC_LC || !core || !channels || channels > 7) return null;
  /** @param {Packet} packet */
  const framed = ({ data }) => {
    const length = data.length + 7;
    const head = [0xff, 0xf1, ((type - 1) << 6) | (place << 2) | (channels >> 2)];
    head.push(((channels & 3) << 6) | (length >> 11), (length >> 3) & 255, ((length & 7) << 5) | 0x1f, 0xfc);
    return joined([Uint8Array.from(head), data]);
  };
  const frames = Math.round((AAC_FRAMES * rate) / core);
  return { rate, lengthOf: () => frames, file: (packets) => joined(packets.map(framed)) };
}

/**
 * @param {number} channels
 * @param {Uint8Array} [description] OpusHead
 * @returns {Writer}
 */
function opusWriter(channels, description) {
  const head = description?.slice() ?? Uint8Array.of(...letters("OpusHead"), 1, channels, 0, 0, 128, 187, 0, 0, 0, 0, 0);
  head.fill(0, OPUS_SKIP_AT, OPUS_SKIP_AT + 2); // Nothing is to be skipped: the packets are none of the beginning.
  const tags = Uint8Array.of(...letters("OpusTags"), 0, 0, 0, 0, 0, 0, 0, 0);
  const file = oggFile([head, tags], opusLength, 0);
  return { rate: OPUS_RATE, lengthOf: opusLength, file };
}

/**
 * @param {Packet} packet
 * @returns {number} as its first bytes say (RFC 6716, 3.1): what a container says may leave out what is not played
 */
function opusLength({ data }) {
  const [toc = 0, second = 0] = data;
  const config = toc >> 3;
  const silk = [480, 960, 1920, 2880][config & 3];
  const frame = config < 12 ? silk : config < 16 ? 480 << (config & 1) : 120 << (config & 3);
  return frame * [1, 2, 2, second & 63][toc & 3];
}

/**
 * @param {number} rate
 * @param {(packet: Packet) => number} lengthOf
 * @param {Uint8Array} description its three headers, laced as Xiph does
 * @returns {Writer | null}
 */
function vorbisWriter(rate, lengthOf, description) {
  const lengths = [0, 0];
  let at = 1;
  for (const index of [0, 1]) {
    for (let byte = 255; byte === 255; at += 1) lengths[index] += byte = description[at] ?? 0;
  }
  const [identity, comments] = [at, at + lengths[0]];
  const setup = description.subarray(comments + lengths[1]);
  if (description[0] !== 2 || setup.length >= MOST_SEGMENTS * SEGMENT_BYTES) return null;
  const none = Uint8Array.of(3, ...letters("vorbis"), 0, 0, 0, 0, 0, 0, 0, 0, 1);
  // Nothing comes of the first packet: it overlaps with the next one.
  return { rate, lengthOf, file: oggFile([description.subarray(identity, comments), none, setup], lengthOf, 1) };
}

/**
 * @param {number} rate
 * @param {(packet: Packet) => number} lengthOf
 * @param {Uint8Array} description
 * @returns {Writer | null}
 */
function flacWriter(rate, lengthOf, description) {
  if (description.length < FLAC_HEAD_BYTES) return null;
  const head = description.slice(0, FLAC_HEAD_BYTES);
  head[4] = 0x80; // The last block of its kind.
  head[21] &= 0xf0; // Neither a number of samples
  head.fill(0, 22); // nor their sum is stated.
  return { rate, lengthOf, file: (packets) => joined([head, join(packets)]) };
}

/**
 * @param {Uint8Array[]} heads the codec's own packets, the first for a page of its own
 * @param {(packet: Packet) => number} lengthOf
 * @param {number} silent packets at the start that nothing comes of
 * @returns {(packets: Packet[]) => Uint8Array<ArrayBuffer>}
 */
function oggFile([first, ...others], lengthOf, silent) {
  return (packets) => {
    const pages = [page([first], 0, 0, PAGE_FIRST), ...others.map((head, index) => page([head], 0, index + 1, 0))];
    let [samples, segments] = [0, 0];
    /** @type {Uint8Array[]} */
    let waiting = [];
    packets.forEach((packet, index) => {
      const taken = segmentsOf(packet.data);
      if (segments + taken > MOST_SEGMENTS) {
        pages.push(page(waiting, samples, pages.length, 0));
        [waiting, segments] = [[], 0];
      }
      waiting.push(packet.data);
      segments += taken;
      if (index >= silent) samples += lengthOf(packet);
    });
    pages.push(page(waiting, samples, pages.length, PAGE_LAST));
    return joined(pages);
  };
}

/** @param {Uint8Array} packet */
function segmentsOf({ length }) {
  return Math.floor(length / SEGMENT_BYTES) + 1;
}

/**
 * @param {Uint8Array[]} packets
 * @param {number} samples from the start of the file to the end of this page
 * @param {number} number
 * @param {number} flags
 * @returns a page of Ogg (RFC 3533, 6)
 */
function page(packets, samples, number, flags) {
  const lacing = packets.flatMap(({ length }) => [
    ...Array(Math.floor(length / SEGMENT_BYTES)).fill(SEGMENT_BYTES),
    length % SEGMENT_BYTES,
  ]);
  const head = new Uint8Array(PAGE_HEAD_BYTES + lacing.length);
  const view = new DataView(head.buffer);
  head.set(letters("OggS"));
  head[5] = flags;
  view.setBigInt64(6, BigInt(samples), true);
  view.setUint32(14, 1, true); // The stream's number.
  view.setUint32(18, number, true);
  head[26] = lacing.length;
  head.set(lacing, PAGE_HEAD_BYTES);
  const whole = joined([head, ...packets]);
  new DataView(whole.buffer).setUint32(22, checksum(whole), true);
  return whole;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  return sum;
});

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let sum = 0;
  for (const byte of bytes) sum = (sum << 8) ^ CRC[((sum >>> 24) ^ byte) & 255];
  return sum >>> 0;
}

/** @param {string} text */
function letters(text) {
  return [...text].map((letter) => letter.charCodeAt(0));
}

/** @param {AllowSharedBufferSource} source */
export function bytesOf(source) {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}
