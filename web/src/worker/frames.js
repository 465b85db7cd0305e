// @ts-check
// MP3 and AAC in ADTS frames: nothing but frames behind each other, so their headers are walked through once, in slices.
// Every so many frames a place is kept; a table of all of them would grow with what a stranger's file claims.

/** @typedef {import("./decoding.js").Packet} Packet */
/** @typedef {import("./decoding.js").Packets} Packets */
/** @typedef {{bytes: number, frames: number, rate: number, channels: number, codec: string, kind: number}} Head what a
 *   frame's header says: its length, the samples of each channel, and what never changes within a recording */

const SLICE_BYTES = 1 << 20;
const KEPT_EVERY = 64;
const SYNC = 0xff; // The first byte of every header.
const HEAD_BYTES = 7;
// A frame is followed by another one; what is not is a picture or a text in between.
const MOST_FRAME_BYTES = 8192;
const TAG_BYTES = 300;
// The delay of an MP3 decoder: 528 samples, and the one that it is always behind.
const MP3_DELAY = 529;
const KBPS = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const MP3_RATES = [44_100, 48_000, 32_000];
const AAC_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {Head | null}
 */
function mp3Head(bytes, at) {
  const [sync, second, third, fourth] = bytes.subarray(at, at + 4);
  if (sync !== 0xff || fourth === undefined || (second & 0xe6) !== 0xe2) return null; // Layer III alone.
  const version = (second >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
  const isFirst = version === 3;
  const kbps = KBPS[isFirst ? 0 : 1][third >> 4];
  const rate = MP3_RATES[(third >> 2) & 3] / (isFirst ? 1 : version === 2 ? 2 : 4);
  if (version === 1 || !kbps || !rate) return null;
  const frames = isFirst ? 1152 : 576;
  const bytesOf = Math.floor((frames * 125 * kbps) / rate) + ((third >> 1) & 1);
  return { bytes: bytesOf, frames, rate, channels: fourth >> 6 === 3 ? 1 : 2, codec: "mp3", kind: version * 1e6 + rate };
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {Head | null}
 */
function adtsHead(bytes, at) {
  const head = bytes.subarray(at, at + HEAD_BYTES);
  if (head.length < HEAD_BYTES || head[0] !== 0xff || (head[1] & 0xf6) !== 0xf0) return null;
  const rate = AAC_RATES[(head[2] >> 2) & 15];
  const length = ((head[3] & 3) << 11) | (head[4] << 3) | (head[5] >> 5);
  if (!rate || length <= HEAD_BYTES) return null;
  const channels = ((head[2] & 1) << 2) | (head[3] >> 6) || 2;
  const frames = 1024 * ((head[6] & 3) + 1);
  return { bytes: length, frames, rate, channels, codec: `mp4a.40.${(head[2] >> 6) + 1}`, kind: rate };
}

/** @implements {Packets} */
export class FrameFile {
  /** Places of every 64th frame. @type {number[]} */
  #kept = [];
  #count = 0;
  /** @type {Head | null} */
  #first = null;
  /** Frames read last: from a kept place to the next one. */
  #block = { number: -1, packets: /** @type {Uint8Array[]} */ ([]) };
  /** Samples that the encoder put before the recording, and behind it. */
  silence = { before: 0, behind: 0 };

  /**
   * @param {File} file
   * @param {"mp3" | "aac"} format
   */
  constructor(file, format) {
    this.file = file;
    this.headAt = format === "mp3" ? mp3Head : adtsHead;
  }

  /**
   * Walk through the whole file.
   * @param {number} mostSeconds
   * @param {() => void} [check] called again and again; throws to end it
   * @returns {Promise<boolean>} whether it ended before so many seconds
   */
  async walk(mostSeconds, check = () => {}) {
    const start = await afterId3(this.file);
    for await (const { head, bytes, offset, at } of this.#heads(start, this.file.size, check)) {
      this.#add(head, bytes, offset, at);
      if (this.seconds > mostSeconds) return false;
    }
    return true;
  }

  /**
   * The frames of a stretch of the file, which is read in slices; what is no frame is passed over.
   * @param {number} at
   * @param {number} end
   * @param {() => void} [check]
   */
  async *#heads(at, end, check = () => {}) {
    while (at < end) {
      check();
      const bytes = await this.#read(at, Math.min(end - at, SLICE_BYTES + MOST_FRAME_BYTES));
      const last = at + bytes.length >= end ? bytes.length : SLICE_BYTES;
      let offset = 0;
      while (offset < last) {
        const head = this.headAt(bytes, offset);
        if (head && offset + head.bytes <= bytes.length && this.#isNext(head, bytes, offset)) {
          yield { head, bytes, offset, at };
          offset += head.bytes;
        } else {
          const next = bytes.indexOf(SYNC, offset + 1);
          offset = next < 0 ? bytes.length : next;
        }
      }
      at += offset;
    }
  }

  /**
   * @param {Head} head
   * @param {Uint8Array} bytes
   * @param {number} offset
   * @returns {boolean} whether another frame, or the end of the file, follows
   */
  #isNext(head, bytes, offset) {
    if (this.#first) return head.kind === this.#first.kind;
    const behind = offset + head.bytes;
    return behind + HEAD_BYTES > bytes.length || this.headAt(bytes, behind)?.kind === head.kind;
  }

  /**
   * @param {Head} head
   * @param {Uint8Array} bytes
   * @param {number} offset
   * @param {number} at place of `bytes` in the file
   */
  #add(head, bytes, offset, at) {
    if (!this.#first) {
      this.#first = head;
      if (head.codec === "mp3" && this.#readTag(head, bytes.subarray(offset, offset + TAG_BYTES))) return;
    }
    if (this.#count % KEPT_EVERY === 0) this.#kept.push(at + offset);
    this.#count += 1;
  }

  /** Samples of each channel that a frame holds, the same for all. */
  get #frames() {
    return this.#first?.frames ?? 0;
  }

  get seconds() {
    return this.#first ? (this.#count * this.#frames) / this.#first.rate : 0;
  }

  /** @returns {AudioDecoderConfig | null} */
  get config() {
    const first = this.#first;
    return first && { codec: first.codec, sampleRate: first.rate, numberOfChannels: first.channels };
  }

  /**
   * @param {Head} head
   * @param {Uint8Array} bytes the first frame
   * @returns {boolean} whether it is no sound but the tag of an encoder, whose silence is noted
   */
  #readTag(head, bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (textAt(bytes, 36) === "VBRI") return true;
    const isFirst = head.frames === 1152;
    let at = 4 + (head.channels === 1 ? (isFirst ? 17 : 9) : isFirst ? 32 : 17);
    if (!["Xing", "Info"].includes(textAt(bytes, at))) return false;
    const flags = view.getUint32(at + 4);
    this.#stated = flags & 1 ? view.getUint32(at + 8) : 0;
    at += 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) / 2;
    if (["LAME", "Lavf", "Lavc"].includes(textAt(bytes, at)) && at + 24 <= bytes.length) {
      const both = view.getUint32(at + 20) & 0xffffff;
      this.silence = { before: (both >> 12) + MP3_DELAY, behind: Math.max(0, (both & 4095) - MP3_DELAY) };
    }
    return true;
  }

  #stated = 0;

  /** Samples behind the recording: what the tag says when there are as many frames as it says. */
  get padding() {
    return this.#stated === this.#count ? this.silence.behind : 0;
  }

  /** @returns {Promise<Packet | null>} */
  getFirstPacket() {
    return this.#packet(0);
  }

  /**
   * @param {number} seconds
   * @returns {Promise<Packet | null>} the packet that sounds then, or the last one
   */
  getPacket(seconds) {
    const number = Math.floor((seconds * (this.#first?.rate ?? 0)) / this.#frames + 1e-6);
    return this.#packet(Math.max(0, Math.min(number, this.#count - 1)));
  }

  /**
   * @param {Packet} packet
   * @returns {Promise<Packet | null>}
   */
  getNextPacket(packet) {
    return this.#packet(Math.round((packet.timestamp * (this.#first?.rate ?? 0)) / this.#frames) + 1);
  }

  /**
   * @param {number} number
   * @returns {Promise<Packet | null>}
   */
  async #packet(number) {
    if (!this.#first || number >= this.#count) return null;
    const block = Math.floor(number / KEPT_EVERY);
    if (this.#block.number !== block) await this.#readBlock(block);
    const data = this.#block.packets[number % KEPT_EVERY];
    if (!data) return null;
    const duration = this.#frames / this.#first.rate;
    return { data, timestamp: number * duration, duration };
  }

  /** @param {number} number */
  async #readBlock(number) {
    /** @type {Uint8Array[]} */
    const packets = [];
    const end = this.#kept[number + 1] ?? this.file.size;
    for await (const { head, bytes, offset } of this.#heads(this.#kept[number], end)) {
      packets.push(bytes.slice(offset, offset + head.bytes));
      if (packets.length === KEPT_EVERY) break;
    }
    this.#block = { number, packets };
  }

  /**
   * @param {number} start
   * @param {number} length
   */
  async #read(start, length) {
    return new Uint8Array(await this.file.slice(start, start + length).arrayBuffer());
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function textAt(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/**
 * @param {File} file
 * @returns {Promise<number>} where its first frame may be
 */
async function afterId3(file) {
  let start = 0;
  for (let tags = 0; tags < 4; tags += 1) {
    const head = new Uint8Array(await file.slice(start, start + 10).arrayBuffer());
    if (textAt(head, 0).slice(0, 3) !== "ID3") break;
    start += 10 + head.subarray(6, 10).reduce((size, byte) => (size << 7) | (byte & 127), 0);
  }
  return start;
}
