// @ts-check
// The time axis of the picture: what was listened to in its true proportions, long stretches that were not shortened.

/**
 * @typedef {[start: number, end: number]} Range in seconds
 * @typedef {{start: number, end: number, heard: boolean, folded: boolean, x: number, width: number}} Piece times in
 *   seconds; x and width are shares of the axis
 * @typedef {{pieces: Piece[], total: number}} Axis
 */

// A stretch that was not listened to is drawn no longer than this share of all that was.
const LONGEST_GAP = 0.07;
const SAME_S = 0.05; // Ends that differ by less are one place: lengths are rounded on their way.

/**
 * @param {{start_s: number, end_s: number}[]} segments in order; together they are what was listened to
 * @returns {Range[]} what was listened to, touching segments joined
 */
export function heardRanges(segments) {
  /** @type {Range[]} */
  const ranges = [];
  for (const { start_s, end_s } of segments) {
    const last = ranges.at(-1);
    if (last && start_s - last[1] < SAME_S) last[1] = end_s;
    else ranges.push([start_s, end_s]);
  }
  return ranges;
}

/**
 * @param {Range[]} heard in order, not overlapping
 * @param {number | null} total_s the length of the recording, where it is known
 * @returns {Axis}
 */
export function axisOf(heard, total_s) {
  const total = Math.max(total_s ?? 0, heard.at(-1)?.[1] ?? 0);
  /** @type {Piece[]} */
  const pieces = [];
  let at = 0;
  /**
   * @param {number} end
   * @param {boolean} isHeard
   */
  const add = (end, isHeard) => {
    if (end - at > SAME_S) pieces.push({ start: at, end, heard: isHeard, folded: false, x: 0, width: 0 });
    at = Math.max(at, end);
  };
  for (const [start, end] of heard) {
    add(start, false);
    add(end, true);
  }
  add(total, false);
  lay(pieces);
  return { pieces, total };
}

/** @param {Piece[]} pieces gets x and width */
function lay(pieces) {
  const heard_s = pieces.reduce((sum, { start, end, heard }) => sum + (heard ? end - start : 0), 0);
  for (const piece of pieces) {
    const length = piece.end - piece.start;
    piece.folded = !piece.heard && length > LONGEST_GAP * heard_s;
    piece.width = piece.folded ? LONGEST_GAP * heard_s : length;
  }
  const whole = pieces.reduce((sum, { width }) => sum + width, 0);
  let x = 0;
  for (const piece of pieces) {
    piece.x = x;
    piece.width /= whole;
    x += piece.width;
  }
}

/**
 * @param {Axis} axis
 * @param {number} seconds
 * @returns {number} its place, 0 to 1
 */
export function placeOf({ pieces }, seconds) {
  const piece = pieces.find(({ end }) => seconds <= end) ?? pieces.at(-1);
  if (!piece) return 0;
  const share = (seconds - piece.start) / (piece.end - piece.start);
  return piece.x + piece.width * Math.min(1, Math.max(0, share));
}

/**
 * @param {Axis} axis
 * @param {number} place 0 to 1
 * @returns {number} seconds
 */
export function secondsAt({ pieces }, place) {
  const piece = pieces.find(({ x, width }) => place <= x + width) ?? pieces.at(-1);
  if (!piece) return 0;
  return piece.start + (piece.end - piece.start) * Math.min(1, Math.max(0, (place - piece.x) / piece.width));
}
