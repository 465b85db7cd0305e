// @ts-check
// What a person sees from the first progress to the result. Loaded on intent; Lit comes in from the element, so that
// it is downloaded once.
import { panelStyles } from "./panel-styles.js";
import { clock, fill, length, percent } from "./words.js";

export { fill };

/** @typedef {import("./protocol.js").Result} Result */
/** @typedef {import("./protocol.js").Reason} Reason */
/**
 * @typedef {{html: typeof import("lit").html, svg: typeof import("lit").svg, nothing: typeof import("lit").nothing}} Lit
 * @typedef {{
 *   host: import("lit").LitElement,
 *   appearance: string,
 *   waveform: boolean,
 *   title: string,
 *   file: File,
 *   peaks: any,
 *   catalogue: Record<string, string>,
 *   language: string,
 *   state: import("./element.js").State,
 *   progress: import("./protocol.js").Progress | null,
 *   result: Result | null,
 *   show: string,
 *   error: string,
 *   held: boolean,
 *   isTest: boolean,
 *   cancel: () => void,
 *   retry: () => void,
 * }} View
 */

const MAX_REASONS = 5;
const MAX_PLACES = 3;
const RETRIES = new Set(["error", "timeout", "cancelled", "stale", "offline"]);
// Segments like this are drawn in the band's colour, in a recording whose band says that there are signs.
const MARKED_FROM = 0.6;
const SIGNS = new Set(["elevated", "high"]);

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
  if (view.state === "idle") return lit.nothing;
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
 * @param {View} view
 * @param {Lit} lit
 */
function busy({ catalogue, language, state, progress, held, cancel }, lit) {
  const { html, nothing } = lit;
  const here = progress?.phase === state ? progress : null;
  return html`
    <div part="details" class="panel busy">
      <div class="head">
        <span class="badge">${icon("busy", lit)}</span>
        <div class="words">
          <p part="summary" class="title">${catalogue[`ui.${state}`]}</p>
          <p class="soft number">${here ? detail(catalogue, here, language) : nothing}</p>
          ${held ? html`<p>${catalogue["ui.sending"]}</p>` : nothing}
        </div>
        <slot name="actions"></slot>
        <button part="cancel-button" type="button" @click=${cancel}>${catalogue[held ? "ui.send.now" : "ui.cancel"]}</button>
      </div>
      <progress part="meter" max="1" .value=${here?.fraction ?? 0} aria-label=${catalogue[`ui.${state}`]}></progress>
    </div>
  `;
}

/**
 * @param {Record<string, string>} catalogue
 * @param {import("./protocol.js").Progress} progress
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
function problem({ catalogue, state, error, retry, isTest }, lit) {
  const { html, nothing } = lit;
  const label = catalogue[state === "stale" ? "ui.choose" : "ui.retry"];
  return html`
    <div part="error" class="panel problem">
      <div class="head">
        <span class="badge">${icon("problem", lit)}</span>
        <p part="summary" class="words">${error}</p>
        <slot name="actions"></slot>
        ${RETRIES.has(state)
          ? html`<button part="retry-button" type="button" @click=${retry}>${label}</button>`
          : nothing}
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
  const { catalogue, result, show } = view;
  if (!result) return nothing;
  const told = show !== "nothing";
  const band = told ? result.band : "neutral";
  return html`
    <div part="details" class="panel done ${band}">
      <div class="head">
        <span part="badge" class="badge">${icon(told ? result.band : "clear", lit)}</span>
        <div class="words">
          <p class="title">${told ? catalogue[`band.${result.band}`] : catalogue["ui.done"]} ${score(view, lit)}</p>
          ${told ? html`<p part="summary" class="soft">${catalogue[`band.${result.band}.summary`]}</p>` : nothing}
        </div>
      </div>
      <slot name="result"></slot>
      ${told ? [timeline(view, result, lit), reasons(view, result, lit)] : nothing}
      <dl class="facts">
        <div part="coverage"><dd>${coverage(view, result)}</dd></div>
        <div><dt>${catalogue["ui.next.title"]}</dt><dd>${catalogue["ui.next"]}</dd></div>
      </dl>
      ${fixed(catalogue, view.isTest, lit)}
    </div>
  `;
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
 * The segments from left to right; the taller, the more signs. The same places stand as text in the reasons.
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
function timeline({ catalogue, language }, { band, segments, coverage: { total_s, analysed_s } }, { html, svg, nothing }) {
  if (segments.length < 2) return nothing;
  const total = Math.max(total_s ?? analysed_s, segments[segments.length - 1].end_s);
  const bars = segments.map(({ start_s, end_s, spoof_score }) => {
    const height = 10 + 90 * (spoof_score ?? 0);
    const kind = spoof_score === null ? "none" : SIGNS.has(band) && spoof_score >= MARKED_FROM ? "marked" : "plain";
    return svg`<rect part="segment" class=${kind} x=${(1000 * start_s) / total} y=${100 - height}
      width=${Math.max(2, (1000 * (end_s - start_s)) / total - 4)} height=${height} />`;
  });
  return html`
    <figure part="timeline" class="timeline">
      <svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
        ${bars}
      </svg>
      <figcaption class="soft number">
        <span>${clock(0, language)}</span><span>${catalogue["ui.timeline.label"]}</span><span>${clock(total, language)}</span>
      </figcaption>
    </figure>
  `;
}

/**
 * @param {View} view
 * @param {Result} result
 * @param {Lit} lit
 */
function reasons({ catalogue, language }, result, { html, nothing }) {
  const known = result.reasons.filter(({ code }) => catalogue[`reason.${code}`]).slice(0, MAX_REASONS);
  if (!known.length) return nothing;
  return html`
    <p id="heard" class="caption">${catalogue["ui.reasons.title"]}</p>
    <ul part="reasons" class="reasons" aria-labelledby="heard">
      ${known.map(
        (reason) => html`
          <li part="reason">
            <p class="name">${catalogue[`reason.${reason.code}.title`] ?? nothing}</p>
            <p class="soft">${fill(catalogue[`reason.${reason.code}`], reason.params, language)}</p>
            <p class="soft number">${places(catalogue, reason, language)}</p>
          </li>
        `,
      )}
    </ul>
  `;
}

/**
 * @param {Record<string, string>} catalogue
 * @param {Reason} reason
 * @param {string} language
 */
function places(catalogue, { weight, ranges }, language) {
  if (!ranges.length || !weight) return ""; // A mere limit is not about a place.
  const list = ranges.slice(0, MAX_PLACES).map(([start, end]) => isolated(`${clock(start, language)}–${clock(end, language)}`));
  return fill(catalogue["ui.place.most"], { places: list.join(", ") }, language);
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
