// @ts-check
// The drawing: the outline, what was not listened to, the marked places, the segments, and where the player stands.
import { placeOf } from "./axis.js";
import { barsOf, pathOf } from "./bars.js";
import { hasSigns, isWithin } from "./marks.js";

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./panel.js").View} View */
/** @typedef {import("./panel.js").Lit} Lit */
/** @typedef {import("../protocol.js").Result} Result */
/** @typedef {import("../protocol.js").Peaks} Peaks */
/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {{state: Picture, axis: Axis, marks: Range[]}} Drawn */

const WAVE_PX = 76;
const STRIP_PX = 18;
const GAP_PX = 6;
const EDGE_PX = 3; // The line along the top of a marked place.
const CLEAR_PX = 5; // Between that line and the tallest bar.

/**
 * @param {View} view
 * @param {Result} result
 * @param {Drawn} drawn
 * @param {Lit} lit
 */
export function drawing(view, result, { state, axis, marks }, lit) {
  const { svg, nothing } = lit;
  const { peaks } = view;
  const { player, width } = state;
  const strip = hasSigns(view, result) ? GAP_PX + STRIP_PX : 0;
  const wave = peaks?.values.length ? WAVE_PX : 0;
  const height = wave + strip;
  return svg`
    <svg viewBox="0 0 ${width} ${height}" height=${height} aria-hidden="true">
      <pattern id="${state.id}-unheard" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <path class="hatch" d="M0 0V6" />
      </pattern>
      ${ground(axis, marks, state, height, lit)}
      ${peaks && wave ? waves(axis, marks, peaks, width, lit) : nothing}
      ${strip ? signs(axis, marks, result, width, height, lit) : nothing}
      ${player ? head(axis, player.seconds, width, height, lit) : nothing}
    </svg>
  `;
}

/**
 * The outline of what was heard so far, from the left to where the progress is.
 * @param {Peaks} peaks
 * @param {number} width
 * @param {number} fraction of what will be heard
 * @param {Lit} lit
 */
export function outline(peaks, width, fraction, { svg }) {
  const heard = { start: 0, end: 1, heard: true, folded: false, x: 0, width: fraction };
  const path = pathOf(barsOf({ pieces: [heard], total: 1 }, peaks, width), WAVE_PX / 2, WAVE_PX / 2 - EDGE_PX);
  return svg`<svg viewBox="0 0 ${width} ${WAVE_PX}" height=${WAVE_PX} aria-hidden="true"><path class="wave" d=${path} /></svg>`;
}

/**
 * The marked places and what was not listened to, behind everything.
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Picture} state
 * @param {number} height
 * @param {Lit} lit
 */
function ground(axis, marks, { id, width }, height, { svg }) {
  const gaps = axis.pieces.filter(({ heard }) => !heard);
  return [
    ...gaps.map(({ x, width: share }) => svg`<rect class="unheard" x=${x * width + 1} y="0" rx="2"
      width=${Math.max(1, share * width - 2)} height=${height} fill="url(#${id}-unheard)" />`),
    ...marks.map(([start, end]) => {
      const x = placeOf(axis, start) * width;
      const length = Math.max(3, placeOf(axis, end) * width - x);
      return svg`<rect class="mark" x=${x} y="0" width=${length} height=${height} />
        <rect class="edge" x=${x} y="0" width=${length} height=${EDGE_PX} />`;
    }),
  ];
}

/**
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Peaks} peaks
 * @param {number} width
 * @param {Lit} lit
 */
function waves(axis, marks, peaks, width, { svg }) {
  const bars = barsOf(axis, peaks, width);
  const marked = bars.filter(({ seconds }) => isWithin(marks, seconds));
  const plain = bars.filter(({ seconds }) => !isWithin(marks, seconds));
  const path = (/** @type {import("./bars.js").Bar[]} */ some) => pathOf(some, WAVE_PX / 2, WAVE_PX / 2 - EDGE_PX - CLEAR_PX);
  return svg`<path class="wave" d=${path(plain)} /><path class="wave marked" d=${path(marked)} />`;
}

/**
 * The segments from left to right; the taller, the more signs. The same places stand as text beside them.
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Result} result
 * @param {number} width
 * @param {number} height
 * @param {Lit} lit
 */
function signs(axis, marks, { segments }, width, height, { svg }) {
  return segments.map(({ start_s, end_s, spoof_score }) => {
    const x = placeOf(axis, start_s) * width;
    const tall = spoof_score === null ? 2 : 3 + (STRIP_PX - 3) * spoof_score;
    const kind = spoof_score === null ? "none" : isWithin(marks, (start_s + end_s) / 2) ? "marked" : "plain";
    return svg`<rect part="segment" class=${kind} x=${x + 1} y=${height - tall} rx="1"
      width=${Math.max(2, placeOf(axis, end_s) * width - x - 2)} height=${tall} />`;
  });
}

/**
 * @param {Axis} axis
 * @param {number} seconds
 * @param {number} width
 * @param {number} height
 * @param {Lit} lit
 */
function head(axis, seconds, width, height, { svg }) {
  const x = Math.min(width - 2, Math.max(2, placeOf(axis, seconds) * width));
  const kind = seconds ? "head-line" : "head-line unmoved";
  return svg`<g class=${kind} transform="translate(${x} 0)"><path d="M0 0V${height}" /><circle r="4.5" cy="0" /></g>`;
}
