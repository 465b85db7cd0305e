// @ts-check
// The picture of a recording: its waveform, what was listened to, where signs were heard; and playing from any place
// of it. A part of its own: loaded beside the panel, left out where nobody wants it.
import { axisOf, heardRanges, placeOf, secondsAt } from "./axis.js";
import { barsOf, pathOf } from "./bars.js";
import { Player } from "./player.js";
import { remember, rove } from "./roving.js";
import { waveformStyles } from "./waveform-styles.js";
import { clock, fill } from "./words.js";

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./panel.js").View} View */
/** @typedef {import("./panel.js").Lit} Lit */
/** @typedef {import("../protocol.js").Result} Result */
/** @typedef {import("../protocol.js").Peaks} Peaks */

const WIDTH = 560; // Until it is measured.
const WAVE_PX = 76;
const STRIP_PX = 18;
const GAP_PX = 6;
const EDGE_PX = 3; // The line along the top of a marked place.
const CLEAR_PX = 5; // Between that line and the tallest bar.
const STEP_S = 1;
const LEAP_S = 10;
// Segments like this are marked, in a recording whose band says that there are signs.
const MARKED_FROM = 0.6;
const SIGNS = new Set(["elevated", "high"]);

let lastId = 0;
/** @type {WeakMap<object, Map<File | null, Picture>>} by host, then by file: an element may show several recordings */
const pictures = new WeakMap();
/** @type {WeakSet<object>} */
const styled = new WeakSet();

/** What a picture keeps between two renderings: its width, and the player. A controller of the element. */
class Picture {
  id = `picture-${(lastId += 1)}`;
  width = WIDTH;
  /** @type {Element | null} */
  #seen = null;
  #observer = new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width));

  /**
   * @param {import("lit").LitElement} host
   * @param {File | null} file
   */
  constructor(host, file) {
    this.host = host;
    this.file = file;
    this.player = file ? new Player(file, () => host.requestUpdate()) : null;
    host.addController(this);
  }

  get root() {
    return /** @type {ShadowRoot} */ (this.host.renderRoot);
  }

  hostUpdated() {
    const canvas = this.root.getElementById(this.id);
    if (!canvas) return this.leave();
    if (canvas === this.#seen) return;
    this.#observer.disconnect();
    this.#observer.observe((this.#seen = canvas));
  }

  hostDisconnected() {
    this.player?.close();
  }

  leave() {
    this.#observer.disconnect();
    this.player?.close();
    this.host.removeController(this);
    pictures.get(this.host)?.delete(this.file);
  }

  /** @param {number} width */
  #resize(width) {
    if (!width || Math.abs(width - this.width) < 1) return;
    this.width = width;
    this.host.requestUpdate();
  }
}

/**
 * @param {View} view
 * @returns {Picture}
 */
function pictureOf({ host, file }) {
  const ofHost = pictures.get(host) ?? new Map();
  const known = ofHost.get(file);
  if (known) return known;
  const made = new Picture(host, file);
  pictures.set(host, ofHost.set(file, made));
  adoptStyles(made.root);
  return made;
}

/** @param {ShadowRoot} root */
function adoptStyles(root) {
  if (styled.has(root)) return;
  styled.add(root);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(waveformStyles);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/**
 * @param {Result} result
 * @returns {Range[]} where the segments with signs lie, neighbours joined
 */
function marksOf({ band, segments }) {
  if (!SIGNS.has(band)) return [];
  return heardRanges(segments.filter(({ spoof_score }) => spoof_score !== null && spoof_score >= MARKED_FROM));
}

/**
 * @param {View} view
 * @param {Result} result
 * @returns {boolean} whether there is anything to say of single segments
 */
function hasSigns({ show }, { segments }) {
  return show !== "nothing" && segments.some(({ spoof_score }) => spoof_score !== null);
}

/**
 * @param {Range[]} ranges
 * @param {number} seconds
 */
function isWithin(ranges, seconds) {
  return ranges.some(([start, end]) => seconds >= start && seconds < end);
}

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
function placeText([start, end], language) {
  return `${clock(start, language)}–${clock(end, language)}`;
}

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
export function preview(view, fraction, { html, svg, nothing }) {
  const { peaks } = view;
  if (!peaks?.values.length) return nothing;
  const { id, width } = pictureOf(view);
  const heard = { start: 0, end: 1, heard: true, folded: false, x: 0, width: fraction };
  const path = pathOf(barsOf({ pieces: [heard], total: 1 }, peaks, width), WAVE_PX / 2, WAVE_PX / 2 - EDGE_PX);
  return html`<div id=${id} class="preview" dir="ltr">
    <svg viewBox="0 0 ${width} ${WAVE_PX}" height=${WAVE_PX} aria-hidden="true">${svg`<path class="wave" d=${path} />`}</svg>
  </div>`;
}

/**
 * @param {View} view
 * @param {Result} result
 * @param {{state: Picture, axis: Axis, marks: Range[]}} drawn
 * @param {Lit} lit
 */
function canvas(view, result, { state, axis, marks }, lit) {
  const { html, svg, nothing } = lit;
  const { catalogue, peaks, language } = view;
  const { player, width } = state;
  const strip = hasSigns(view, result) ? GAP_PX + STRIP_PX : 0;
  const wave = peaks?.values.length ? WAVE_PX : 0;
  const height = wave + strip;
  const content = svg`
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
 * Where the slider stands, in words.
 * @param {Record<string, string>} catalogue
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {number} now
 * @param {string} language
 */
function spoken(catalogue, axis, marks, now, language) {
  const time = fill(catalogue["ui.wave.time"], { time: clock(now, language), total: clock(axis.total, language) }, language);
  const isUnheard = axis.pieces.some(({ heard, start, end }) => !heard && now >= start && now < end);
  const what = isWithin(marks, now) ? "ui.wave.marked" : isUnheard ? "ui.wave.unheard" : "";
  return what ? `${time}. ${catalogue[what]}` : time;
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

/**
 * @param {KeyboardEvent} event
 * @param {Player} player
 * @param {Axis} axis
 */
function steer(event, player, { total }) {
  const now = player.seconds;
  const goals = /** @type {Record<string, number>} */ ({
    ArrowRight: now + STEP_S,
    ArrowUp: now + STEP_S,
    ArrowLeft: now - STEP_S,
    ArrowDown: now - STEP_S,
    PageUp: now + LEAP_S,
    PageDown: now - LEAP_S,
    Home: 0,
    End: total,
  });
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") toggle(player);
  else if (event.key in goals) player.seek(Math.min(total, Math.max(0, goals[event.key])));
  else return;
  event.preventDefault();
}

/** @param {Player} player */
function toggle(player) {
  if (player.isPlaying) player.pause();
  else player.play();
}

/**
 * @param {PointerEvent} event
 * @param {Player} player
 * @param {Axis} axis
 */
function drag(event, player, axis) {
  const canvas = /** @type {HTMLElement} */ (event.currentTarget);
  if (event.type === "pointerdown" && event.button === 0) canvas.setPointerCapture(event.pointerId);
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  const { left, width } = canvas.getBoundingClientRect();
  player.seek(secondsAt(axis, Math.min(1, Math.max(0, (event.clientX - left) / width))));
}

/**
 * What the picture shows, in words.
 * @param {View} view
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {Lit} lit
 */
function facts({ catalogue, language }, { pieces }, marks, { html, nothing }) {
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
function legend(view, result, { pieces }, marks, { html, svg, nothing }) {
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
