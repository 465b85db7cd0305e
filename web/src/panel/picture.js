// @ts-check
// What the picture of one recording keeps between two renderings: its width, and the player.
import { Player } from "./player.js";
import { waveformStyles } from "./waveform-styles.js";

/** @typedef {import("./panel.js").View} View */

const WIDTH = 560; // Until it is measured.

let lastId = 0;
/** @type {WeakMap<object, Map<File | null, Picture>>} by host, then by file: an element may show several recordings */
const pictures = new WeakMap();
/** @type {WeakSet<object>} */
const styled = new WeakSet();

/** A controller of the element. */
export class Picture {
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
export function pictureOf({ host, file }) {
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
