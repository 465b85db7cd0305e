// @ts-check
// The picture of a recording: its waveform, what was listened to, where signs were heard; and playing from any place
// of it. A part of its own: loaded beside the panel, left out where nobody wants it.
import { axisOf, heardRanges } from "./axis.js";
import { drawing, outline } from "./drawing.js";
import { marksOf } from "./marks.js";
import { pictureOf } from "./picture.js";
import { remember, rove } from "./roving.js";
import { drag, spoken, steer, toggle } from "./slider.js";
import { facts, legend, placeText } from "./told.js";
import { clock, fill } from "./words.js";

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./panel.js").View} View */
/** @typedef {import("./panel.js").Lit} Lit */
/** @typedef {import("../protocol.js").Result} Result */
/** @typedef {import("./picture.js").Picture} Picture */

/**
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
export function picture(view, result, lit) {
  const { html, nothing } = lit;
  const { catalogue, show } = view;
  const state = pictureOf(view);
  const axis = axisOf(heardRanges(result.segments), result.coverage.total_s);
  const marks = show === "nothing" ? [] : marksOf(result);
  return html`
    <figure part="timeline" class="timeline">
      ${canvas(view, result, { state, axis, marks }, lit)}
      ${facts(view, axis, marks, lit)}
      ${state.player?.isFailed ? html`<p class="soft">${catalogue["ui.wave.failed"]}</p>` : nothing}
      <figcaption class="legend soft">${legend(view, result, axis, marks, lit)}</figcaption>
      ${controls(view, axis, marks, state, lit)}
    </figure>
  `;
}

/**
 * The outline of what was heard so far, from the left to where the progress is.
 * @param {View} view
 * @param {number} fraction of what will be heard
 * @param {Lit} lit
 */
export function preview(view, fraction, lit) {
  const { html, nothing } = lit;
  const { peaks } = view;
  if (!peaks?.values.length) return nothing;
  const { id, width } = pictureOf(view);
  return html`<div id=${id} class="preview" dir="ltr">${outline(peaks, width, fraction, lit)}</div>`;
}

/**
 * @param {View} view
 * @param {Result} result
 * @param {import("./drawing.js").Drawn} drawn
 * @param {Lit} lit
 */
function canvas(view, result, { state, axis, marks }, lit) {
  const { html } = lit;
  const { catalogue, language } = view;
  const { player } = state;
  const content = drawing(view, result, { state, axis, marks }, lit);
  if (!player || player.isFailed) return html`<div id=${state.id} class="canvas" dir="ltr">${content}</div>`;
  const now = Math.min(axis.total, player.seconds);
  return html`
    <div
      id=${state.id}
      class="canvas slider"
      dir="ltr"
      role="slider"
      tabindex="0"
      aria-label=${catalogue["ui.wave.label"]}
      aria-describedby="${state.id}-keys"
      aria-valuemin="0"
      aria-valuemax=${Math.round(axis.total)}
      aria-valuenow=${Math.round(now)}
      aria-valuetext=${spoken(catalogue, axis, marks, now, language)}
      @keydown=${(/** @type {KeyboardEvent} */ event) => steer(event, player, axis)}
      @pointerdown=${(/** @type {PointerEvent} */ event) => drag(event, player, axis)}
      @pointermove=${(/** @type {PointerEvent} */ event) => drag(event, player, axis)}
      @click=${() => player.play()}
    >
      ${content}
    </div>
    <p id="${state.id}-keys" class="unseen">${catalogue["ui.wave.keys"]}</p>
    ${player.audio}
  `;
}

/**
 * @param {View} view
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Picture} state
 * @param {Lit} lit
 */
function controls(view, axis, marks, { player }, lit) {
  const { html, nothing } = lit;
  const { catalogue, language } = view;
  if (!player || player.isFailed) return nothing;
  const label = catalogue[player.isPlaying ? "ui.wave.pause" : "ui.wave.play"];
  return html`
    <div class="controls">
      <button type="button" class="play" aria-label=${label} title=${label} @click=${() => toggle(player)}>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${player.isPlaying ? "M8 5v14M16 5v14" : "M8 5l11 7-11 7z"} /></svg>
      </button>
      <bdi class="time number" dir="ltr" aria-hidden="true">${clock(player.seconds, language)} / ${clock(axis.total, language)}</bdi>
      ${marks.length ? places(view, marks, catalogue["ui.wave.marked"], lit) : nothing}
    </div>
  `;
}

/**
 * Buttons that play these places; inside the group the arrow keys move.
 * @param {View} view
 * @param {Range[]} ranges
 * @param {string} label
 * @param {Lit} lit
 */
export function places(view, ranges, label, { html }) {
  const { catalogue, language } = view;
  const { player } = pictureOf(view);
  return html`
    <div class="places" role="toolbar" aria-label=${label} @keydown=${rove} @focusin=${remember}>
      ${ranges.map((range, i) => {
        const place = placeText(range, language);
        const name = fill(catalogue["ui.wave.play.at"], { place }, language);
        return html`<button type="button" class="place number" tabindex=${i ? -1 : 0} aria-label=${name}
          ?disabled=${!player || player.isFailed} @click=${() => player?.play(...range)}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8 5l11 7-11 7z" /></svg><bdi dir="ltr">${place}</bdi>
        </button>`;
      })}
    </div>
  `;
}
