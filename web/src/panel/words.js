// @ts-check
// Sentences and figures as the language writes them. Figures are formatted by the browser's own Intl, never by hand.

/**
 * @param {string} sentence with `{name}` placeholders; a missing parameter leaves its placeholder
 * @param {Record<string, string | number>} params
 * @param {string} language
 */
export function fill(sentence, params, language) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value, language, { maximumFractionDigits: 2 }) : value;
  });
}

// The first one that a page makes takes tens of milliseconds: in a task of its own, before there is a figure to write.
setTimeout(() => new Intl.NumberFormat());

/** Making one takes milliseconds, and a sentence may need it many times a second. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * @param {number} value
 * @param {string} language
 * @param {Intl.NumberFormatOptions} [options]
 */
function number(value, language, options) {
  const key = language + JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.NumberFormat(language, options);
  formats.set(key, format);
  return format.format(value);
}

/**
 * @param {number} fraction
 * @param {string} language
 */
export function percent(fraction, language) {
  return number(fraction, language, { style: "percent", maximumFractionDigits: 0 });
}

/**
 * A place in a recording, as players show it: `1:05`.
 * @param {number} seconds
 * @param {string} language
 */
export function clock(seconds, language) {
  const whole = Math.round(seconds);
  const rest = number(whole % 60, language, { minimumIntegerDigits: 2 });
  return `${number(Math.floor(whole / 60), language, { useGrouping: false })}:${rest}`;
}

/**
 * How long something is: `1 min 5 sec`.
 * @param {number} seconds
 * @param {string} language
 */
export function length(seconds, language) {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const parts = [];
  if (minutes) parts.push(unit(minutes, "minute", language));
  if (whole % 60 || !minutes) parts.push(unit(whole % 60, "second", language));
  return parts.join(" ");
}

/**
 * @param {number} value
 * @param {string} name
 * @param {string} language
 */
function unit(value, name, language) {
  return number(value, language, { style: "unit", unit: name, unitDisplay: "short" });
}
