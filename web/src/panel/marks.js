// @ts-check
// Which places of a recording are marked: where signs were heard, in one whose band says that there are some.
import { heardRanges } from "./axis.js";

/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./panel.js").View} View */
/** @typedef {import("../protocol.js").Result} Result */

// Segments like this are marked.
const MARKED_FROM = 0.6;
const SIGNS = new Set(["elevated", "high"]);

/**
 * @param {Result} result
 * @returns {Range[]} where the segments with signs lie, neighbours joined
 */
export function marksOf({ band, segments }) {
  if (!SIGNS.has(band)) return [];
  return heardRanges(segments.filter(({ spoof_score }) => spoof_score !== null && spoof_score >= MARKED_FROM));
}

/**
 * @param {View} view
 * @param {Result} result
 * @returns {boolean} whether there is anything to say of single segments
 */
export function hasSigns({ show }, { segments }) {
  return show !== "nothing" && segments.some(({ spoof_score }) => spoof_score !== null);
}

/**
 * @param {Range[]} ranges
 * @param {number} seconds
 */
export function isWithin(ranges, seconds) {
  return ranges.some(([start, end]) => seconds >= start && seconds < end);
}
