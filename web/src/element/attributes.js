// @ts-check
// What a page can set on the element, and what it is when nothing is set.
import { LitElement } from "lit";

const MAX_SECONDS = 120;
/** @type {Record<string, unknown> | undefined} */
let defaults;
/** The longest that a submit is ever held. */
export const WAIT_MS = 15_000;

export class Attributes extends LitElement {
  static properties = {
    action: { type: String },
    appearance: { type: String, reflect: true },
    auto: { type: String },
    declare: { type: Boolean },
    disabled: { type: Boolean, reflect: true },
    endpoint: { type: String },
    maxSeconds: { type: Number, attribute: "max-seconds" },
    name: { type: String },
    preload: { type: String },
    provenance: { type: Boolean },
    record: { type: Boolean },
    seal: { type: String },
    session: { type: String },
    show: { type: String },
    state: { type: String, reflect: true },
    test: { type: String },
    theme: { type: String, reflect: true },
    wait: { type: Number },
    waveform: { type: String },
    workerSrc: { type: String, attribute: "worker-src" },
  };

  constructor() {
    super();
    this.action = "voice-upload";
    this.appearance = "standard";
    this.auto = "select";
    this.declare = false;
    this.disabled = false;
    /** @type {string | null} */
    this.endpoint = null;
    this.maxSeconds = MAX_SECONDS;
    /** @type {string | null} */
    this.name = null;
    this.preload = "intent";
    this.provenance = false;
    this.record = false;
    this.seal = "submit";
    /** @type {string | null} */
    this.session = null;
    this.show = "band";
    /** @type {import("../client/file-check.js").State} */
    this.state = "idle";
    /** @type {string | null} */
    this.test = null;
    this.theme = "auto";
    this.wait = WAIT_MS;
    /** @type {string | null} */
    this.waveform = null;
    /** @type {string | null} */
    this.workerSrc = null;
    defaults ??= Object.fromEntries(Object.keys(Attributes.properties).map((name) => [name, Reflect.get(this, name)]));
  }

  /**
   * What a page, or its framework, takes away is as if it had never been set.
   * @param {Map<string, unknown>} changed
   */
  willUpdate(changed) {
    for (const name of changed.keys()) if (Reflect.get(this, name) == null) Reflect.set(this, name, defaults?.[name]);
  }

  /**
   * Set several properties at once.
   * @param {Record<string, unknown>} options
   * @throws {TypeError} where there is no such option; nothing is set then
   */
  configure(options) {
    const unknown = Object.keys(options).filter((name) => !OPTIONS.has(name));
    if (unknown.length) throw new TypeError(`<${this.localName}> has no option ${unknown.join(", ")}`);
    Object.assign(this, options);
  }
}

const OPTIONS = new Set([...Object.keys(Attributes.properties), "strings"]);
OPTIONS.delete("state"); // The element's own word.
