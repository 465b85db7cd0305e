// @ts-check
// Which language an element speaks: that of the nearest `lang` around it, else English.

const LOCALES = __LOCALES__;
const ENGLISH = "en";
/** Tags that name a language of ours otherwise. @type {Record<string, string>} */
const SAME = { no: "nb", nn: "nb", iw: "he", in: "id" };
const TRADITIONAL = new Set(["tw", "hk", "mo"]);

/**
 * @param {string} tag a BCP 47 tag, or any text
 * @returns {string} the language that there are sentences in: the longest beginning of the tag that is one, or English
 */
export function chooseLanguage(tag) {
  const parts = tag.trim().toLowerCase().replaceAll("_", "-").split("-");
  parts[0] = SAME[parts[0]] ?? parts[0];
  // Taiwan, Hong Kong and Macao write the traditional script where the tag names none.
  if (parts[0] === "zh" && !parts.includes("hans") && parts.some((part) => TRADITIONAL.has(part))) parts.splice(1, 0, "hant");
  for (; parts.length; parts.pop()) {
    const found = LOCALES.find((locale) => locale.toLowerCase() === parts.join("-"));
    if (found) return found;
  }
  return ENGLISH;
}

/**
 * @param {Element} element
 * @returns {string}
 */
export function languageOf(element) {
  for (let node = element; node; ) {
    const named = node.closest("[lang]");
    if (named) return chooseLanguage(named.getAttribute("lang") ?? "");
    node = /** @type {ShadowRoot} */ (node.getRootNode()).host;
  }
  return ENGLISH;
}

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {MutationObserver | undefined} */
let observer;

/**
 * Tell when a `lang` of the document changes, as pages do that switch their language without loading anew.
 * @param {() => void} listener
 */
export function watchLanguage(listener) {
  listeners.add(listener);
  observer ??= new MutationObserver(() => listeners.forEach((told) => told()));
  observer.observe(document, { attributeFilter: ["lang"], subtree: true });
}

/** @param {() => void} listener */
export function unwatchLanguage(listener) {
  listeners.delete(listener);
  if (!listeners.size) observer?.disconnect();
}
