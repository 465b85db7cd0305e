// @ts-check
// A recording heard while it is made: its samples come from the microphone's own thread, and a rolling band goes out.
import { steady } from "./rolling.js";
import { plain } from "./runtime.js";

/** @typedef {import("../protocol.js").RollingHint} RollingHint */

const KEPT_S = 30; // While the runtime still loads; and how far a slow machine may fall behind.

/**
 * Ends when the recording does, or when this machine is too slow to follow it. Memory is bounded.
 * @param {Promise<any>} loading the Python module `wasm_detector.browser`; of what comes before, the last is kept
 * @param {number} sampleRate
 * @param {MessagePort} port brings mono Float32Arrays
 * @param {Promise<unknown>} ended with the recording
 * @param {(hint?: RollingHint | null) => void} told null at first, when hearing begins; then what changes; nothing when
 *   no more will be heard
 */
export async function hear(loading, sampleRate, port, ended, told) {
  const most = KEPT_S * sampleRate;
  /** @type {Float32Array[]} */
  const waiting = [];
  let frames = 0;
  let isOver = false;
  let wake = () => {};
  /** @type {any} */
  let live;
  const next = () => {
    const samples = waiting.shift();
    frames -= samples?.length ?? 0;
    return samples;
  };
  port.onmessage = ({ data }) => {
    waiting.push(data);
    frames += data.length;
    while (!live && frames > most) next();
    wake();
  };
  ended.then(() => {
    isOver = true;
    wake();
  });
  try {
    const detector = await Promise.race([loading, ended]);
    if (isOver) return;
    live = detector.Live(sampleRate);
    told(null);
    const latest = steady();
    /** @type {RollingHint | undefined} */
    let shown;
    while (!isOver && frames <= most) {
      const samples = next();
      const hint = samples && latest(plain(live.push(samples)).hint);
      if (hint && hint !== shown) told((shown = hint));
      await new Promise((resolve) => setTimeout(resolve)); // What has come meanwhile is counted before more is heard.
      if (!waiting.length && !isOver) await new Promise((resolve) => (wake = () => resolve(undefined)));
    }
    told();
  } finally {
    port.close();
    live?.destroy();
  }
}
