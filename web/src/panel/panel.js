// @ts-check
// What a person sees from the first progress to the result. Loaded on intent; Lit comes in from the element, so that
// it is downloaded once.
import { panelStyles } from "./panel-styles.js";
import { clock, fill, length, percent } from "./words.js";

export { fill };

/** @typedef {import("../protocol.js").Result} Result */
/** @typedef {import("../protocol.js").Reason} Reason */
/**
 * @typedef {{html: typeof import("lit").html, svg: typeof import("lit").svg, nothing: typeof import("lit").nothing}} Lit
 * @typedef {{
 *   host: import("lit").LitElement,
 *   appearance: string,
 *   waveform: boolean,
 *   title: string,
 *   file: File,
 *   peaks: import("../protocol.js").Peaks | null,
 *   catalogue: Record<string, string>,
 *   language: string,
 *   state: import("../element/element.js").State,
 *   progress: import("../protocol.js").Progress | null,
 *   result: Result | null,
 *   show: string,
 *   error: string,
 *   held: boolean,
 *   seconds: number,
 *   isTest: boolean,
 *   cancel: () => void,
 *   retry: () => void,
 * }} View
 */

const MAX_REASONS = 5;
const MAX_PLACES = 3;
const RETRIES = new Set(["error", "timeout", "cancelled", "stale", "offline"]);
const SHOWN = new Set(["reading", "analysing", "done", "sealing"]); // When the picture is wanted soon.

// 24 x 24 outlines. Each band has a shape of its own: colour is never the only difference.
const ICONS = {
  clear: "M5 12.5l4.5 4.5L19 7.5",
  elevated: "M4 14c2-5 4-5 6 0s4 5 6 0 3-4 4-2",
  high: "M4 12h2l2.5-7 4 14 3-10 2 3H20",
  inconclusive: "M9 9.2a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2M12 17.4v.1",
  problem: "M12 6.5v7M12 17v.1",
  busy: "M5 10v4M9 7v10M13 9v6M17 5v14M21 10.5v3",
};

/** @param {ShadowRoot} root */
export function adoptStyles(root) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(panelStyles);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

/** @typedef {typeof import("./waveform.js")} Waveform */
/** @type {Waveform | null} */
let waveform = null;
let isLoading = false;

/**
 * The part that draws and plays, fetched when it is wanted soon. Without it everything stands as text.
 * @param {View} view
 * @returns {Waveform | null}
 */
function drawing({ host, state, waveform: isWanted }) {
  if (!isWanted) return null;
  if (!waveform && !isLoading && SHOWN.has(state)) {
    isLoading = true;
    /** @type {Promise<Waveform>} */ (import(new URL("waveform.js", import.meta.url).href))
      .then((loaded) => {
        waveform = loaded;
        host.requestUpdate();
      })
      .catch(() => {}) // The next rendering tries again.
      .finally(() => (isLoading = false));
  }
  return waveform;
}

/** @param {View} view */
export function summary({ catalogue, result, show }) {
  if (!result || show === "nothing") return catalogue["ui.done"];
  return `${catalogue[`band.${result.band}`]}. ${catalogue[`band.${result.band}.summary`]}`;
}

/**
 * @param {View} view
 * @param {Lit} lit
 */
export function render(view, lit) {
  if (view.state === "idle" || view.appearance === "none") return lit.nothing;
  drawing(view);
  if (view.state === "done" || view.state === "sealing") return done(view, lit);
  if (view.error) return problem(view, lit);
  return busy(view, lit);
}

/**
 * @param {keyof typeof ICONS} name
 * @param {Lit} lit
 */
function icon(name, { svg }) {
  return svg`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

/**
 * Which of several recordings this is about; of one, its name in full where the browser's own control has no room.
 * @param {View} view
 * @param {Lit} lit
 */
function name({ title, file }, { html, nothing }) {
  if (title) return html`<p class="file title"><bdi>${title}</bdi></p>`;
  return file ? html`<p class="file soft" aria-hidden="true"><bdi>${file.name}</bdi></p>` : nothing;
}

/**
 * @param {View} view
 * @param {Lit} lit
 */
function busy(view, lit) {
  const { html, nothing } = lit;
  const { catalogue, language, state, progress, held, seconds, cancel } = view;
  const here = progress?.phase === state ? progress : null;
  return html`
    <div part="details" class="panel busy">
      ${name(view, lit)}
      <div class="head">
        <span part="badge" class="badge">${icon("busy", lit)}</span>
        <div class="words">
          <p part="summary" class="title">${catalogue[`ui.${state}`]}</p>
          <p class="soft number">${here ? detail(catalogue, here, language) : nothing}</p>
          ${held ? html`<p>${fill(catalogue["ui.sending"], { seconds }, language)}</p>` : nothing}
        </div>
        <div part="actions" class="actions">
          <slot name="actions"></slot>
          <button part="cancel-button" type="button" @click=${cancel}>${catalogue[held ? "ui.send.now" : "ui.cancel"]}</button>
        </div>
      </div>
      <progress part="meter" max="1" .value=${here?.fraction ?? 0} aria-label=${catalogue[`ui.${state}`]}></progress>
      ${isDrawn(view)
        ? html`<div class="room">${drawing(view)?.preview(view, here?.fraction ?? 0, lit)}${rolling(view, lit)}</div><dl class="facts">${next(view, false, lit)}</dl>`
        : rolling(view, lit)}
    </div>
  `;
}

/**
 * What the sound so far would be called. Only to be seen: it may still change.
 * @param {View} view
 * @param {Lit} lit
 */
function rolling({ catalogue, language, progress, show }, { html, nothing }) {
  if (!progress?.hint || show === "nothing") return nothing;
  const band = catalogue[`band.${progress.hint.band}`];
  return html`<p part="rolling" class="rolling soft">${fill(catalogue["ui.rolling"], { band }, language)}</p>`;
}

/**
 * @param {View} view
 * @returns {boolean} whether a picture is to stand open in the panel: its room is kept, so that the form below stays
 *   where it is when the result comes
 */
function isDrawn(view) {
  return view.waveform && !isFolded(view) && view.appearance !== "status";
}

/** @param {View} view */
function isFolded({ appearance, title }) {
  return appearance === "compact" || Boolean(title);
}

/**
 * @param {Record<string, string>} catalogue
 * @param {import("../protocol.js").Progress} progress
 * @param {string} language
 */
function detail(catalogue, { phase, seconds, total, fraction }, language) {
  if (phase === "analysing" && total) {
    const places = { done: clock(seconds ?? 0, language), total: clock(total, language) };
    return fill(catalogue["ui.analysing.seconds"], places, language);
  }
  return percent(fraction, language);
}

/**
 * @param {View} view
 * @param {Lit} lit
 */
function problem(view, lit) {
  const { html, nothing } = lit;
  const { catalogue, state, error, retry, isTest } = view;
  const label = catalogue[state === "stale" ? "ui.choose" : "ui.retry"];
  return html`
    <div part="error" class="panel problem">
      ${name(view, lit)}
      <div class="head">
        <span part="badge" class="badge">${icon("problem", lit)}</span>
        <p part="summary" class="words">${error}</p>
        <div part="actions" class="actions">
          <slot name="actions"></slot>
          ${RETRIES.has(state)
            ? html`<button part="retry-button" type="button" @click=${retry}>${label}</button>`
            : nothing}
        </div>
      </div>
      ${fixed(catalogue, isTest, lit)}
    </div>
  `;
}

/**
 * Say aloud that an outcome of the test mode is none of the detector's.
 * @param {Record<string, string>} catalogue
 * @param {boolean} isTest
 * @param {Lit} lit
 */
function fixed(catalogue, isTest, { html, nothing }) {
  return isTest ? html`<p class="caption">${catalogue["ui.test"]}</p>` : nothing;
}

/**
 * @param {View} view
 * @param {Lit} lit
 */
function done(view, lit) {
  const { html, nothing } = lit;
  const { catalogue, result, show, appearance } = view;
  if (!result) return nothing;
  const told = show !== "nothing";
  const band = told ? result.band : "neutral";
  return html`
    <div part="details" class="panel done ${band}">
      ${name(view, lit)}
      <div class="head">
        <span part="badge" class="badge">${icon(told ? result.band : "clear", lit)}</span>
        <div class="words">
          <p class="title">${told ? catalogue[`band.${result.band}`] : catalogue["ui.done"]} ${score(view, lit)}</p>
          ${told ? html`<p part="summary" class="soft">${catalogue[`band.${result.band}.summary`]}</p>` : nothing}
        </div>
        <div part="actions" class="actions"><slot name="actions"></slot></div>
      </div>
      <slot name="result"></slot>
      ${appearance === "status" ? nothing : rest(view, result, lit)} ${fixed(catalogue, view.isTest, lit)}
    </div>
  `;
}

/**
 * What stands below the band: folded away where the page wants it compact.
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
function rest(view, result, lit) {
  const { html, nothing } = lit;
  const { catalogue, show } = view;
  const drawn = drawing(view);
  const content = html`
    ${drawn ? drawn.picture(view, result, lit) : nothing} ${show === "nothing" ? nothing : reasons(view, result, lit)}
    <dl class="facts">
      <div part="coverage"><dd>${coverage(view, result)}</dd></div>
      ${provenance(view, result, lit)}
      ${next(view, show !== "nothing" && result.band !== "clear", lit)}
    </dl>
  `;
  if (!isFolded(view)) return content;
  return html`<details class="fold"><summary>${catalogue["ui.details"]}</summary>${content}</details>`;
}

/**
 * What the file's own notes say of it. No more than their word: nothing is said where they say nothing.
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
function provenance({ catalogue, language }, result, { html, nothing }) {
  const { generators = [], content_credentials = false } = result.provenance ?? {};
  const names = generators.map((name) => `\u2068${name}\u2069`).join(", "); // Each in its own direction.
  const told = [
    generators.length ? fill(catalogue["ui.provenance.generated"], { names }, language) : "",
    content_credentials ? catalogue["ui.provenance.credentials"] : "",
  ].filter(Boolean);
  if (!told.length) return nothing;
  const title = catalogue["ui.provenance.title"];
  return html`<div part="provenance"><dt>${title}</dt><dd>${told.join(" ")}</dd></div>`;
}

/**
 * @param {View} view
 * @param {boolean} isAsked whether a person who reads this may wonder if the recording can be sent
 * @param {Lit} lit
 */
function next({ catalogue }, isAsked, { html }) {
  const sentences = [catalogue["ui.next"], isAsked ? catalogue["ui.next.anyway"] : ""];
  return html`<div><dt>${catalogue["ui.next.title"]}</dt><dd>${sentences.join(" ").trim()}</dd></div>`;
}

/**
 * @param {View} view
 * @param {Lit} lit
 */
function score({ catalogue, language, result, show }, { html, nothing }) {
  if (show !== "score" || result?.spoof_score == null) return nothing;
  const text = fill(catalogue["ui.score"], { score: Math.round(result.spoof_score * 100) }, language);
  return html`<span class="score number">${text}</span>`;
}

/**
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
function reasons(view, result, lit) {
  const { html, nothing } = lit;
  const { catalogue, language } = view;
  const title = catalogue["ui.reasons.title"];
  const known = result.reasons.filter(({ code }) => catalogue[`reason.${code}`]).map((each) => reason(view, each, result, lit));
  const others = known.slice(MAX_REASONS);
  if (!known.length) return nothing;
  const more = () => html`
    <details class="fold">
      <summary>${fill(catalogue["ui.reasons.more"], { count: others.length }, language)}</summary>
      <ul class="reasons" aria-label=${title}>${others}</ul>
    </details>
  `;
  return html`
    <p class="caption">${title}</p>
    <ul part="reasons" class="reasons" aria-label=${title}>${known.slice(0, MAX_REASONS)}</ul>
    ${others.length ? more() : nothing}
  `;
}

/**
 * @param {View} view
 * @param {Reason} reason
 * @param {Result} result
 * @param {Lit} lit
 */
function reason(view, { code, params, weight, ranges }, result, lit) {
  const { html, nothing } = lit;
  const { catalogue, language } = view;
  const title = catalogue[`reason.${code}.title`];
  return html`
    <li part="reason" class=${weight ? "sign" : "limit"}>
      <p class="name">${title ?? nothing}</p>
      <p class="soft">${fill(catalogue[`reason.${code}`], params, language)}</p>
      ${isAboutPlaces(ranges, result) ? places(view, ranges.slice(0, MAX_PLACES), title ?? code, Boolean(weight), lit) : nothing}
    </li>
  `;
}

/**
 * @param {[number, number][]} ranges
 * @param {Result} result
 * @returns {boolean} whether they are some places, and not all that was listened to
 */
function isAboutPlaces(ranges, { coverage: { analysed_s } }) {
  const seconds = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  return seconds > 0 && seconds < analysed_s - 1;
}

/**
 * @param {View} view
 * @param {[number, number][]} ranges
 * @param {string} label
 * @param {boolean} isSign and no mere limit
 * @param {Lit} lit
 */
function places(view, ranges, label, isSign, lit) {
  const { catalogue, language } = view;
  const drawn = drawing(view);
  if (drawn && view.file) return drawn.places(view, ranges, label, lit);
  if (!isSign) return lit.nothing;
  const list = ranges.map(([start, end]) => isolated(`${clock(start, language)}–${clock(end, language)}`));
  return lit.html`<p class="soft number">${fill(catalogue["ui.place.most"], { places: list.join(", ") }, language)}</p>`;
}

/**
 * Keep a span of time in its order from left to right, also within Arabic or Hebrew (Unicode's isolates).
 * @param {string} text
 */
function isolated(text) {
  return `\u2066${text}\u2069`;
}

/**
 * @param {View} view
 * @param {Result} result
 */
function coverage({ catalogue, language }, { coverage: { analysed_s, total_s, speech_s } }) {
  const whole = total_s !== null && analysed_s >= total_s - 1;
  const key = total_s === null ? "ui.coverage.unknown" : whole ? "ui.coverage.whole" : "ui.coverage.part";
  const lengths = { analysed: length(analysed_s, language), total: length(total_s ?? analysed_s, language) };
  const speech = { speech: length(speech_s, language) };
  return `${fill(catalogue[key], lengths, language)} ${fill(catalogue["ui.coverage.speech"], speech, language)}`;
}
