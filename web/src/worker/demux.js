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

/** @typedef {import("./decoding.js").Decoders} Decoders */
/** @typedef {import("./decoding.js").Packets} Packets */
/** @typedef {{packets: Packets, config: AudioDecoderConfig, isMp4: boolean, isMatroska: boolean, delay: number,
 *   close: () => void}} Track its packets, and the seconds that Matroska says its encoder put before the recording */

const FORMATS = [MP4, QTFF, WEBM, MATROSKA, OGG, FLAC];
const CACHE_BYTES = 4 << 20;
// The tables of a video of some hours take a few million bytes; what asks for more at once is damaged, or an attack.
const MOST_READ_BYTES = 64 << 20;
const MATROSKA_HEAD_BYTES = 1 << 20;
const [SEGMENT, TRACKS, TRACK, NUMBER, CODEC_DELAY] = [0x18538067, 0x1654ae6b, 0xae, 0xd7, 0x56aa];
// The server has no decoder for these: it passes such a track over, whoever could decode it here.
const PASSED_OVER = ["ac3", "eac3", "dts"];

Logging.level = LogLevel.Silent;

/**
 * @param {File} file
 * @param {Decoders} decoders
 * @returns {Promise<Track>} the sound track that the server hears
 * @throws {MediaError} and whatever reading a file throws
 */
export async function openTrack(file, decoders) {
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
      if (PASSED_OVER.includes((await track.getCodec()) ?? "")) continue;
      const config = await track.getDecoderConfig().catch(() => null);
      if (!config || !(await decoders.isSupported(config))) break; // Another track would be another recording.
      const isMatroska = format === WEBM || format === MATROSKA;
      return {
        packets: new EncodedPacketSink(track),
        config,
        isMp4: format === MP4 || format === QTFF,
        isMatroska,
        delay: isMatroska ? await codecDelay(file, track.id) : 0,
        close: () => input.dispose(),
      };
    }
    throw new MediaError("unsupported", "this browser cannot decode the sound track");
  } catch (error) {
    input.dispose();
    if (failure) throw failure;
    throw error instanceof MediaError ? error : new MediaError("undecodable", String(error));
  }
}

/**
 * @param {File} file
 * @param {number} number of the track
 * @returns {Promise<number>} seconds; Mediabunny does not tell them
 */
async function codecDelay(file, number) {
  const bytes = new Uint8Array(await file.slice(0, MATROSKA_HEAD_BYTES).arrayBuffer());
  for (const segment of elements(bytes, SEGMENT)) {
    for (const tracks of elements(segment, TRACKS)) {
      for (const track of elements(tracks, TRACK)) {
        const [found] = elements(track, NUMBER);
        if (!found || valueOf(found) !== number) continue;
        const [delay] = elements(track, CODEC_DELAY);
        const nanoseconds = delay ? valueOf(delay) : 0;
        return nanoseconds < 1e9 ? nanoseconds / 1e9 : 0;
      }
    }
  }
  return 0;
}

/**
 * @param {Uint8Array} bytes content of an EBML element, or its beginning
 * @param {number} id
 * @returns {Generator<Uint8Array>} contents of the elements of this kind inside; of unknown length: all that follows
 */
function* elements(bytes, id) {
  for (let at = 0; at < bytes.length; ) {
    const idLength = lengthAt(bytes, at);
    const sizeLength = lengthAt(bytes, at + idLength);
    const start = at + idLength + sizeLength;
    if (!idLength || !sizeLength || start > bytes.length) return;
    const most = 2 ** (7 * sizeLength) - 1;
    const size = valueOf(bytes.subarray(at + idLength, start)) - (most + 1);
    const end = size === most ? bytes.length : start + size;
    if (valueOf(bytes.subarray(at, at + idLength)) === id) yield bytes.subarray(start, end);
    at = end;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {number} bytes of the EBML number there, 0 where there is none
 */
function lengthAt(bytes, at) {
  const length = Math.clz32(bytes[at] ?? 0) - 23;
  return length <= 8 ? length : 0;
}

/** @param {Uint8Array} bytes a whole number, the highest byte first */
function valueOf(bytes) {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}
