// @ts-check
// What an element says, and in which language: that of its place in the page. A few sentences come with the script,
// the rest with the lazy parts, and a page may put its own in their place.
import { EARLY, earlySentences, sentences } from "./bundle.js";
import { languageOf, unwatchLanguage, watchLanguage } from "./language.js";

/** @typedef {import("../panel/words.js").fill} Fill */

/** A controller of the element. */
export class Wording {
  language = "en";
  /** The sentences of the page itself. @type {Record<string, string>} */
  own = {};
  #early = EARLY;
  /** @type {import("./bundle.js").Catalogue | null} */
  #catalogue = null;
  /** Puts values into a sentence; there with the lazy parts. @type {Fill | null} */
  #fill = null;

  /** @param {import("lit").LitElement} host */
  constructor(host) {
    this.host = host;
    host.addController(this);
  }

  hostConnected() {
    watchLanguage(this.#speak);
    this.#speak();
  }

  hostDisconnected() {
    unwatchLanguage(this.#speak);
  }

  /** The sentences in use. @returns {Record<string, string>} */
  get strings() {
    return { ...this.#early, ...this.#catalogue, ...this.own };
  }

  /**
   * The lazy parts are there.
   * @param {string} language that they were loaded for
   * @param {import("./bundle.js").Parts} parts
   */
  use(language, { catalogue, panel }) {
    this.#catalogue = catalogue;
    this.#fill = panel.fill;
    if (language !== this.language) this.#translate(); // Changed while they loaded.
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} params
   * @returns {string | undefined} nothing before the lazy parts are there
   */
  text(key, params) {
    return this.#fill?.(this.strings[key] ?? "", params, this.language);
  }

  /**
   * @param {string} code of what went wrong
   * @param {string} state that it led to
   */
  ofError(code, state) {
    const { strings } = this;
    return strings[`error.${code}`] ?? strings[`error.${state}`] ?? strings["ui.idle.failed"];
  }

  /** Speak the language of the place in the page; what was announced already stays as it was said. */
  #speak = () => {
    const language = languageOf(this.host);
    if (language === this.language) return;
    this.language = language;
    this.#translate();
  };

  async #translate() {
    const { language } = this;
    const early = await earlySentences(language);
    const catalogue = this.#catalogue && (await sentences(language).catch(() => null));
    if (language !== this.language) return; // Changed again meanwhile.
    this.#early = early;
    if (this.#catalogue && catalogue) this.#catalogue = catalogue;
    this.host.requestUpdate();
  }
}
