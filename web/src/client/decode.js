// @ts-check
// Decoding on the page: decodeAudioData does not exist in workers. Always at the recording's own rate, because
// browsers resample differently from the server; the detector's own resampler runs on both sides.
import { Code, ScreeningError } from "../protocol.js";

/** @typedef {import("../protocol.js").Probe} Probe */

// decodeAudioData is all or nothing: an hour of stereo would take 1.4 GB of the tab's memory.
export const MAX_PCM_BYTES = 64 * 1024 * 1024;
// The file itself is held twice while it is decoded; a long video has little sound and much picture.
export const MAX_FILE_BYTES = 64 * 1024 * 1024;
// A recording made by a browser does not say its length. Recorders use about this bit rate.
const ASSUMED_BYTES_PER_S = 16_000;
const SAMPLE_BYTES = 4;

/**
 * @param {Probe} probe
 * @param {number} fileBytes
 * @returns {number} bytes of PCM that decoding would make
 */
export function predictPcmBytes(probe, fileBytes) {
  if (probe.predicted_pcm_bytes !== null) return probe.predicted_pcm_bytes;
  const seconds = probe.duration_s ?? fileBytes / ASSUMED_BYTES_PER_S;
  return seconds * (probe.sample_rate ?? 48_000) * (probe.channels ?? 2) * SAMPLE_BYTES;
}

/**
 * @param {File} file
 * @param {Probe} probe
 * @returns {Promise<AudioBuffer>}
 * @throws {ScreeningError} with a code that the page has a sentence for
 */
export async function decode(file, probe) {
  if (!probe.sample_rate || typeof OfflineAudioContext !== "function") throw new ScreeningError(Code.UNSUPPORTED);
  if (file.size > MAX_FILE_BYTES || predictPcmBytes(probe, file.size) > MAX_PCM_BYTES) {
    throw new ScreeningError(Code.TOO_LARGE);
  }
  return decodeBytes(await file.arrayBuffer(), probe.sample_rate);
}

/**
 * @param {ArrayBuffer} bytes
 * @param {number} sampleRate
 * @returns {Promise<AudioBuffer>}
 * @throws {ScreeningError}
 */
export async function decodeBytes(bytes, sampleRate) {
  try {
    return await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(bytes);
  } catch (error) {
    throw new ScreeningError(Code.UNDECODABLE, String(error));
  }
}

/**
 * @param {AudioBuffer} buffer
 * @param {number} start first frame
 * @param {number} end frame after the last
 * @returns {Float32Array} mean of the channels, a fresh array that may be transferred
 */
export function monoSlice(buffer, start, end) {
  const count = buffer.numberOfChannels;
  const mono = new Float32Array(Math.max(0, Math.min(end, buffer.length) - start));
  buffer.copyFromChannel(mono, 0, start);
  if (count === 1) return mono;
  const other = new Float32Array(mono.length);
  for (let channel = 1; channel < count; channel += 1) {
    buffer.copyFromChannel(other, channel, start);
    for (let i = 0; i < mono.length; i += 1) mono[i] += other[i];
  }
  for (let i = 0; i < mono.length; i += 1) mono[i] /= count;
  return mono;
}
