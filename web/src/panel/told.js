// @ts-check
// What the picture shows, in words: for those who do not see it, and as its legend.
import { hasSigns } from "./marks.js";
import { clock, fill } from "./words.js";

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./panel.js").View} View */
/** @typedef {import("./panel.js").Lit} Lit */
/** @typedef {import("../protocol.js").Result} Result */

/**
 * @param {Range[]} ranges
 * @param {string} language
 */
function listed(ranges, language) {
  const places = ranges.map((range) => placeText(range, language));
  return new Intl.ListFormat(language || undefined, { type: "unit", style: "short" }).format(places);
}

/**
 * @param {Range} range
 * @param {string} language
 */
export function placeText([start, end], language) {
  return `${clock(start, language)}–${clock(end, language)}`;
}

/**
 * What the picture shows, in words.
 * @param {View} view
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Lit} lit
 */
export function facts({ catalogue, language }, { pieces }, marks, { html, nothing }) {
  /** @param {boolean} wanted @returns {Range[]} */
  const ranges = (wanted) => pieces.filter(({ heard }) => heard === wanted).map(({ start, end }) => [start, end]);
  const tell = (/** @type {string} */ key, /** @type {Range[]} */ places) =>
    html`<p>${fill(catalogue[key], { places: listed(places, language) }, language)}</p>`;
  return html`<div class="unseen">
    ${ranges(false).length ? [tell("ui.wave.heard.at", ranges(true)), tell("ui.wave.unheard.at", ranges(false))] : nothing}
    ${marks.length ? tell("ui.wave.marked.at", marks) : nothing}
  </div>`;
}

/**
 * @param {View} view
 * @param {Result} result
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Lit} lit
 */
export function legend(view, result, { pieces }, marks, { html, svg, nothing }) {
  const { catalogue } = view;
  const words = { signs: "ui.timeline.label", marked: "ui.wave.marked", unheard: "ui.wave.unheard" };
  /** @param {string} d @param {keyof typeof words} name */
  const key = (d, name) => html`<span class="key">
    <svg class="swatch ${name}" viewBox="0 0 16 14" aria-hidden="true">${svg`<path d=${d} />`}</svg>${catalogue[words[name]]}
  </span>`;
  const isPart = pieces.some(({ heard }) => !heard);
  return [
    !hasSigns(view, result) ? nothing : key("M3 12V9M8 12V6M13 12V2", "signs"),
    marks.length ? key("M0 1.5H16M0 7H16", "marked") : nothing,
    isPart ? key("M1 13L7 1M7 13L13 1M-3 9L1 1M13 13L17 5", "unheard") : nothing,
  ];
}
