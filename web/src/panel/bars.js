// @ts-check
// The waveform as bars: the loudest sample of each stretch of what was listened to.

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("../protocol.js").Peaks} Peaks */
/** @typedef {{x: number, seconds: number, level: number}} Bar x in pixels, level 0 to 1 */

const BAR_PX = 4; // From one bar to the next.
const MIN_HALF_PX = 1.5; // Half a bar of silence.
const MAX_GAIN = 8; // A quiet recording is drawn larger, noise alone is not.
const CURVE = 0.8; // Quiet speech is seen beside loud one.

/**
 * The loudest sample of a stretch of what was heard, 0 to 1.
 * @param {Peaks} peaks
 * @param {number} from share of the heard time
 * @param {number} to share of the heard time
 */
function loudest({ values }, from, to) {
  const pairs = values.length / 2;
  const first = Math.min(pairs - 1, Math.floor(from * pairs));
  const last = Math.max(first + 1, Math.ceil(to * pairs));
  let most = 0;
  for (let i = 2 * first; i < 2 * last && i < values.length; i += 1) most = Math.max(most, Math.abs(values[i] - 128));
  return Math.min(1, most / 127);
}

/**
 * @param {Axis} axis
 * @param {Peaks} peaks
 * @param {number} width in pixels
 * @returns {Bar[]}
 */
export function barsOf({ pieces }, peaks, width) {
  const heard = pieces.filter((piece) => piece.heard);
  const heard_s = heard.reduce((sum, { start, end }) => sum + end - start, 0);
  let before_s = 0;
  const bars = heard.flatMap(({ start, end, x, width: share }) => {
    const count = Math.max(1, Math.round((share * width) / BAR_PX));
    const step_s = (end - start) / count;
    const made = Array.from({ length: count }, (_, i) => ({
      x: (x + (share * (i + 0.5)) / count) * width,
      seconds: start + (i + 0.5) * step_s,
      level: loudest(peaks, (before_s + i * step_s) / heard_s, (before_s + (i + 1) * step_s) / heard_s),
    }));
    before_s += end - start;
    return made;
  });
  const gain = Math.min(MAX_GAIN, 1 / Math.max(0.01, ...bars.map(({ level }) => level)));
  return bars.map((bar) => ({ ...bar, level: bar.level * gain }));
}

/**
 * @param {Bar[]} bars
 * @param {number} middle their common middle, in pixels from the top
 * @param {number} room the highest that a bar may reach from there
 * @returns {string} the path that draws them
 */
export function pathOf(bars, middle, room) {
  return bars
    .map(({ x, level }) => {
      const half = Math.max(MIN_HALF_PX, level ** CURVE * room);
      return `M${x.toFixed(1)} ${(middle - half).toFixed(1)}V${(middle + half).toFixed(1)}`;
    })
    .join("");
}
