// @ts-check
// The sound track of MP4, MOV, WebM, Matroska, Ogg and FLAC, found by Mediabunny; the file is read where it is needed.
import {
  CustomSource,
  EncodedPacketSink,
  FLAC,
  Input,
  LogLevel,
  Logging,
  MATROSKA,
  MP4,
  OGG,
  QTFF,
  WEBM,
} from "mediabunny";
import { MediaError } from "./media-error.js";

/** @typedef {import("./decoding.js").Packets} Packets */
/** @typedef {{packets: Packets, config: AudioDecoderConfig, isMp4: boolean, isMatroska: boolean, delay: number,
 *   close: () => void}} Track its packets, and the seconds that Matroska says its encoder put before the recording */

const FORMATS = [MP4, QTFF, WEBM, MATROSKA, OGG, FLAC];
const CACHE_BYTES = 4 << 20;
// The tables of a video of some hours take a few million bytes; what asks for more at once is damaged, or an attack.
const MOST_READ_BYTES = 64 << 20;
const MATROSKA_HEAD_BYTES = 1 << 16;
const CLUSTER = [0x1f, 0x43, 0xb6, 0x75];
const CODEC_DELAY = [0x56, 0xaa];

Logging.level = LogLevel.Silent;

/**
 * @param {File} file
 * @returns {Promise<Track>} its first sound track that this browser can decode
 * @throws {MediaError} and whatever reading a file throws
 */
export async function openTrack(file) {
  /** @type {unknown} what went wrong with the file itself, whatever the demuxer made of it */
  let failure = null;
  const source = new CustomSource({
    getSize: () => file.size,
    async read(start, end) {
      try {
        if (end - start > MOST_READ_BYTES) throw new MediaError("too_large_to_decode", "tables too large");
        return new Uint8Array(await file.slice(start, end).arrayBuffer());
      } catch (error) {
        failure ??= error;
        throw error;
      }
    },
    maxCacheSize: CACHE_BYTES,
    prefetchProfile: "fileSystem",
    handleUnhandledError: () => {},
  });
  const input = new Input({ source, formats: FORMATS });
  try {
    const format = await input.getFormat();
    const tracks = await input.getAudioTracks();
    if (!tracks.length) {
      const isVideo = (await input.getVideoTracks()).length > 0;
      throw new MediaError(isVideo ? "invalid_waveform" : "undecodable", "no sound track");
    }
    for (const track of tracks) {
      const config = await track.getDecoderConfig().catch(() => null);
      const support = config && (await AudioDecoder.isConfigSupported(config).catch(() => null));
      if (!config || !support?.supported) continue;
      const isMatroska = format === WEBM || format === MATROSKA;
      return {
        packets: new EncodedPacketSink(track),
        config,
        isMp4: format === MP4 || format === QTFF,
        isMatroska,
        delay: isMatroska ? await codecDelay(file) : 0,
        close: () => input.dispose(),
      };
    }
    throw new MediaError("unsupported", "no sound track that this browser can decode");
  } catch (error) {
    input.dispose();
    if (failure) throw failure;
    throw error instanceof MediaError ? error : new MediaError("undecodable", String(error));
  }
}

/**
 * @param {File} file
 * @returns {Promise<number>} seconds; Mediabunny does not tell them
 */
async function codecDelay(file) {
  const bytes = new Uint8Array(await file.slice(0, MATROSKA_HEAD_BYTES).arrayBuffer());
  let longest = 0;
  for (let at = 0; at + 12 < bytes.length && !isAt(bytes, at, CLUSTER); at += 1) {
    if (!isAt(bytes, at, CODEC_DELAY)) continue;
    const size = bytes[at + 2] & 0x7f;
    if (bytes[at + 2] < 0x81 || size > 8) continue;
    const nanoseconds = bytes.subarray(at + 3, at + 3 + size).reduce((sum, byte) => sum * 256 + byte, 0);
    if (nanoseconds < 1e9) longest = Math.max(longest, nanoseconds / 1e9);
  }
  return longest;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number[]} expected
 */
function isAt(bytes, at, expected) {
  return expected.every((byte, offset) => bytes[at + offset] === byte);
}
