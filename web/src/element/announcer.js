// @ts-check
// What the polite status region says: one sentence at the start, at most one per quarter, exactly one at the end.

// What was announced stays for readers who come to it late, and is no second text to those who read on.
const ANNOUNCED_MS = 10_000;

export class Announcer {
  text = "";
  #quarter = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;

  /**
   * @param {import("./attributes.js").Attributes} host
   * @param {import("./wording.js").Wording} wording
   */
  constructor(host, wording) {
    this.host = host;
    this.wording = wording;
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} [params]
   */
  say(key, params = {}) {
    const text = this.wording.text(key, params);
    if (text !== undefined) this.announce(text);
  }

  /** @param {string} text */
  announce(text) {
    clearTimeout(this.#silence);
    this.text = this.host.appearance === "none" ? "" : text; // There the page speaks for itself.
    if (text) this.#silence = setTimeout(() => this.announce(""), ANNOUNCED_MS);
    this.host.requestUpdate();
  }

  /** @param {number} fraction of what is to be done */
  progress(fraction) {
    const quarter = Math.floor(fraction * 4);
    if (quarter <= this.#quarter || quarter > 3) return;
    this.#quarter = quarter;
    this.say("ui.announce.progress", { percent: quarter * 25 });
  }

  /** Another file: nothing has been said of it. */
  forget() {
    this.#quarter = 0;
    this.text = "";
  }
}
