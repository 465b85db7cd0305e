// @ts-check
// <prelisten-check>: wraps a native file input, shows what the detector hears, and adds the sealed hint to the form.
import { LitElement, html, nothing, svg } from "lit";
import { DETECTOR, EARLY, HERE, earlySentences, loadParts, sentences } from "./bundle.js";
import { joinHold } from "./hold.js";
import { adoptButtonStyles, nameInput } from "./input.js";
import { languageOf, unwatchLanguage, watchLanguage } from "./language.js";
import { styles } from "./styles.js";

/** @typedef {import("./protocol.js").Outcome} Outcome */
/** @typedef {import("./protocol.js").Progress} Progress */
/** @typedef {import("./session.js").Sealed} Sealed */
/** @typedef {import("./bundle.js").Parts} Parts */
/**
 * @typedef {"idle"|"loading"|"reading"|"analysing"|"done"|"sealing"|"unsupported"|"error"|"offline"|"cancelled"
 *   |"stale"|"timeout"} State
 */

const WAIT_MS = 15_000; // The longest that a submit is ever held.
// How long a recording waits for a server that is slow to say what else to listen for.
const CHALLENGE_MS = 2_000;
const MAX_SECONDS = 120;
const PROGRESS_EVERY_MS = 250;
const RENEWAL_RETRY_MS = 30_000; // Where a token that is to be kept fresh could not be sealed again.
const BUSY = new Set(["loading", "reading", "analysing"]);
const HOLDS = new Set([...BUSY, "done", "sealing"]);
const SHOWS = ["nothing", "band", "score"];

/** What a failure's code means for the person; any other code is an `error`. @type {Record<string, State>} */
const STATE_OF_CODE = {
  cancelled: "cancelled",
  empty_file: "unsupported",
  invalid_waveform: "unsupported",
  offline: "offline",
  stale: "stale",
  timeout: "timeout",
  too_large_to_decode: "unsupported",
  undecodable: "unsupported",
  unreadable_container: "unsupported",
  unsupported: "unsupported",
};

export class PrelistenCheck extends LitElement {
  static formAssociated = true;
  static styles = styles;
  static properties = {
    action: { type: String },
    disabled: { type: Boolean, reflect: true },
    endpoint: { type: String },
    maxSeconds: { type: Number, attribute: "max-seconds" },
    name: { type: String },
    seal: { type: String },
    session: { type: String },
    show: { type: String },
    state: { type: String, reflect: true },
    test: { type: String },
    theme: { type: String, reflect: true },
    wait: { type: Number },
  };

  #internals = this.attachInternals();
  /** @type {HTMLInputElement | null} */
  #input = null;
  /** @type {Parts | null} */
  #parts = null;
  #language = "en";
  #early = EARLY;
  /** @type {import("./session.js").Session | null} */
  #session = null;
  /** @type {AbortController | null} */
  #controller = null;
  /** @type {Promise<void>} */
  #running = Promise.resolve();
  /** @type {Outcome | null} */
  #outcome = null;
  /** @type {Progress | null} */
  #progress = null;
  #progressAt = 0;
  #announced = 0;
  #announcement = "";
  #code = "";
  #token = "";
  /** The token's life; null when there is none, or when it has gone with a form. @type {Sealed | null} */
  #sealed = null;
  /** The file that was last checked, or was to be: a script may put another one into the input. @type {File | null} */
  #checked = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #renewal;
  #held = false;
  #formDisabled = false;
  /** @type {ReturnType<typeof joinHold> | null} */
  #hold = null;

  constructor() {
    super();
    this.action = "voice-upload";
    this.disabled = false;
    /** @type {string | null} */
    this.endpoint = null;
    this.maxSeconds = MAX_SECONDS;
    /** @type {string | null} */
    this.name = null;
    this.seal = "submit";
    /** @type {string | null} */
    this.session = null;
    this.show = "band";
    /** @type {State} */
    this.state = "idle";
    /** @type {string | null} */
    this.test = null;
    this.theme = "auto";
    this.wait = WAIT_MS;
    for (const intent of ["focusin", "pointerenter", "dragenter"]) {
      this.addEventListener(intent, () => this.#warm(), { passive: true });
    }
    this.addEventListener("change", (event) => event.target === this.#input && this.check());
    // The same file chosen again, after it was changed: some browsers call that cancelled, and give a new File.
    this.addEventListener("cancel", (event) => event.target === this.#input && this.#isSwapped() && this.check());
    // A <label> around the element names the element: hand its click on to the input.
    this.addEventListener("click", (event) => event.composedPath()[0] === this && this.#input?.click());
  }

  connectedCallback() {
    super.connectedCallback();
    adoptButtonStyles(this.getRootNode());
    watchLanguage(this.#speak);
    this.#speak();
    window.addEventListener("online", this.#online);
    window.addEventListener("pageshow", this.#shown);
    document.addEventListener("visibilitychange", this.#renew);
    if (BUSY.has(this.state)) this.check(); // Moved to another place in the page while it listened.
    this.#renew();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    window.removeEventListener("online", this.#online);
    window.removeEventListener("pageshow", this.#shown);
    document.removeEventListener("visibilitychange", this.#renew);
    unwatchLanguage(this.#speak);
    this.#controller?.abort();
  }

  /** The wrapped native input. */
  get input() {
    return this.#input;
  }

  /** The chosen file. */
  get file() {
    return this.#input?.files?.[0] ?? null;
  }

  get form() {
    return this.#internals.form;
  }

  /** What the detector said, or null. */
  get result() {
    return this.#outcome?.result ?? null;
  }

  /** The sealed token of this file, or "". */
  get value() {
    return this.#token;
  }

  /** Analyse the chosen file, from the start. Resolves when it is done or has failed; never rejects. */
  async check() {
    this.#forget();
    const file = (this.#checked = this.file);
    if (!file || this.#isOff() || !this.#emit("start", {}, true)) return this.#enter("idle");
    const controller = new AbortController();
    this.#controller = controller;
    this.#running = this.#run(file, controller.signal);
    return this.#running;
  }

  /** Stop analysing. The form can still be sent. */
  cancel() {
    if (!BUSY.has(this.state)) return;
    this.#controller?.abort();
    this.#fail("cancelled");
  }

  /** Forget the result, as after a form's reset. */
  reset() {
    this.#forget();
    this.#enter("idle");
  }

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#hold?.leave();
    this.#hold = form && joinHold(form, {
      wait: () => this.#waitMs(),
      needsHold: () => !this.#isOff() && (this.#isSwapped() ? this.file !== null : HOLDS.has(this.state)),
      prepare: (signal) => this.#prepare(signal),
      inspect: (entries) => this.#isSwapped() && entries.delete(this.#entryName()),
    });
  }

  /** @param {boolean} disabled by a fieldset */
  formDisabledCallback(disabled) {
    this.#formDisabled = disabled;
    if (disabled) this.reset();
  }

  formResetCallback() {
    this.#hold?.withdraw();
    this.reset();
  }

  /** A restored form has no token: it was for one submission. */
  formStateRestoreCallback() {}

  #isOff() {
    return this.disabled || this.#formDisabled;
  }

  /** Whether a script has changed the input's file: no event tells of that. */
  #isSwapped() {
    return this.file !== this.#checked;
  }

  #waitMs() {
    return Math.min(WAIT_MS, Math.max(0, Number.isFinite(this.wait) ? this.wait : WAIT_MS));
  }

  #online = () => {
    if (this.state === "offline") this.check();
  };

  /** A browser that goes back may put the file into the input again, after the element is there. */
  #shown = () => {
    if (this.file && this.state === "idle") this.check();
  };

  /** Load the lazy parts: someone means to choose a file. Failing is for `check` to say. */
  async #warm() {
    if (this.#isOff()) return;
    try {
      const { client, session } = await this.#load();
      if (this.test) await session.challenge(); // It tells whether the runtime will be needed.
      if (!session.fixed) client.warm();
      await session.challenge();
    } catch {
      // Tried again when there is a file.
    }
  }

  /** Speak the language of the place in the page; what was announced already stays as it was said. */
  #speak = async () => {
    const language = languageOf(this);
    if (language === this.#language) return;
    this.#language = language;
    const early = await earlySentences(language);
    const catalogue = this.#parts && (await sentences(language).catch(() => null));
    if (language !== this.#language) return; // Changed again meanwhile.
    this.#early = early;
    if (this.#parts && catalogue) this.#parts = { ...this.#parts, catalogue };
    this.requestUpdate();
  };

  async #load() {
    const parts = await loadParts(this.#language);
    const endpoint = this.endpoint ? new URL(`${this.endpoint.replace(/\/$/, "")}/`, document.baseURI) : HERE;
    const binding = () => ({ action: this.action, session: this.session, test: this.test });
    const session = (this.#session ??= new parts.Session(endpoint, binding));
    if (!this.#parts) {
      this.#parts = parts;
      parts.panel.adoptStyles(/** @type {ShadowRoot} */ (this.renderRoot));
      this.requestUpdate();
    }
    return { ...parts, session };
  }

  /**
   * @param {File} file
   * @param {AbortSignal} signal
   */
  async #run(file, signal) {
    this.#enter("loading");
    try {
      const { client, session } = await this.#load();
      const asked = session.challenge(signal).catch(() => {}); // Early, for its settings; sealing asks again.
      if (this.test) await asked;
      else client.warm(); // Meanwhile the challenge tells which signals the site has besides.
      await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, CHALLENGE_MS))]);
      this.#say("ui.announce.start");
      const options = {
        maxSeconds: this.#seconds(),
        extensions: session.extensions,
        signal,
        onProgress: this.#onProgress,
      };
      const outcome = await (this.test && session.fixed ? session.fixedOutcome(file) : client.screen(file, options));
      if (signal.aborted) return;
      this.#finish(outcome);
      if (this.seal === "result") await this.#sealClaim(signal).catch(() => {}); // The submit tries again.
    } catch (error) {
      const { code = "load_failed", message } = /** @type {{code?: string, message?: string}} */ (error);
      if (!signal.aborted) this.#fail(code === "load_failed" && !navigator.onLine ? "offline" : code, message);
    }
  }

  #seconds() {
    return Math.min(this.maxSeconds || MAX_SECONDS, this.#session?.ui.max_seconds ?? Infinity);
  }

  /** @param {Progress} progress */
  #onProgress = (progress) => {
    const now = performance.now();
    this.#progress = progress;
    if (progress.phase !== this.state) this.#enter(progress.phase);
    else if (now - this.#progressAt < PROGRESS_EVERY_MS) return;
    this.#progressAt = now;
    this.#announceQuarter(progress);
    this.#emit("progress", { ...progress });
    this.requestUpdate();
  };

  /** @param {Progress} progress */
  #announceQuarter({ phase, fraction }) {
    const quarter = Math.floor(fraction * 4);
    if (phase !== "analysing" || quarter <= this.#announced || quarter > 3) return;
    this.#announced = quarter;
    this.#say("ui.announce.progress", { percent: quarter * 25 });
  }

  /** @param {Outcome} outcome */
  #finish(outcome) {
    this.#outcome = outcome;
    this.#enter("done");
    const { panel, catalogue } = /** @type {Parts} */ (this.#parts);
    this.#announcement = panel.summary(this.#view(catalogue));
    this.#emit("result", { ...outcome.result });
  }

  /**
   * @param {string} code
   * @param {string} [message] for developers; people get the sentence of the code
   */
  #fail(code, message = "") {
    this.#code = code;
    this.#dropToken();
    this.#enter(STATE_OF_CODE[code] ?? "error");
    const help = this.#sentence(code);
    this.#announcement = help;
    const recoverable = this.state !== "unsupported";
    if (code !== "cancelled") this.#emit("error", { code, recoverable, help, message });
  }

  /** @param {string} code */
  #sentence(code) {
    const catalogue = this.#parts?.catalogue ?? {};
    return catalogue[`error.${code}`] ?? catalogue[`error.${this.state}`] ?? this.#early[`error.${code}`] ?? this.#early["ui.idle.failed"];
  }

  /** Stop what runs and drop what was heard and sealed. */
  #forget() {
    this.#controller?.abort();
    this.#outcome = this.#progress = null;
    this.#announced = 0;
    this.#announcement = this.#code = "";
    this.#dropToken();
  }

  #dropToken() {
    clearTimeout(this.#renewal);
    this.#sealed = null;
    this.#setToken("");
  }

  #entryName() {
    return this.name || (this.#input?.name ? `${this.#input.name}-hint` : "");
  }

  /** @param {string} token */
  #setToken(token) {
    this.#token = token;
    const name = this.#entryName();
    const entries = new FormData();
    entries.append(name, token);
    this.#internals.setFormValue(token && name ? entries : null, null);
  }

  /**
   * Wait for the result, then have it sealed. Called while the submit is held; `signal` ends when the time is over.
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>} false only when the file on disk is no longer the one that was heard
   */
  async #prepare(signal) {
    this.#wait(true);
    try {
      return await this.#sealInTime(signal);
    } finally {
      this.#wait(false);
    }
  }

  /** @param {boolean} held whether a submit waits, so that the person sees why nothing seems to happen */
  #wait(held) {
    this.#held = held;
    if (held && BUSY.has(this.state)) this.#say("ui.sending");
    this.requestUpdate();
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>}
   */
  async #sealInTime(signal) {
    if (this.#isSwapped()) this.check(); // Nobody has heard this one.
    for (let running; running !== this.#running; ) await (running = this.#running); // A new file starts anew.
    const mayGo = this.state !== "stale" && (await this.#sealClaim(signal, this.seal === "result"));
    if (mayGo) this.#sealed = null; // It goes now; the next submit needs another one.
    return mayGo;
  }

  /**
   * Have the kept claim sealed, under a fresh challenge where the old one is no longer taken.
   * @param {AbortSignal} signal
   * @param {boolean} [mayKeep] whether a token that is still fresh will do
   * @returns {Promise<boolean>} false only when the file on disk is no longer the one that was heard
   */
  async #sealClaim(signal, mayKeep = false) {
    const { file } = this;
    const outcome = this.#outcome;
    if (!file || !outcome || this.#isSwapped() || !this.#session || signal.aborted) return true;
    this.#enter("sealing");
    if (this.#held) this.#say("ui.sealing");
    try {
      if (!(await isUnchanged(file))) {
        this.#outcome = null;
        this.#fail("stale");
        return false;
      }
      if (mayKeep && this.#sealed && this.#sealed.restMs() > 0) return true;
      if (!this.#sealed) this.#setToken(""); // What has gone with a form is spent, also when sealing fails now.
      const sealed = await this.#session.seal(file, outcome, DETECTOR.sha256, signal);
      if (signal.aborted || this.#outcome !== outcome) return true;
      this.#keep(sealed);
    } finally {
      if (this.state === "sealing") this.#enter("done");
    }
    return true;
  }

  /** @param {Sealed} sealed */
  #keep(sealed) {
    this.#sealed = sealed;
    this.#setToken(sealed.token);
    this.#renew();
    this.#emit("sealed", { expiresAt: sealed.expires_at });
  }

  /**
   * A page may read the form at any time: keep its token fresh, as long as somebody sees the page. A timer may end a
   * little before the clock says so, and a server may be away: whatever happens, the next look is planned.
   */
  #renew = () => {
    clearTimeout(this.#renewal);
    if (this.seal !== "result" || !this.#sealed || document.hidden || !this.isConnected) return;
    const restMs = this.#sealed.restMs();
    this.#renewal = setTimeout(this.#renew, restMs > 0 ? Math.ceil(restMs) : RENEWAL_RETRY_MS);
    if (restMs > 0 || this.state !== "done") return;
    this.#running = this.#sealClaim(new AbortController().signal).then(() => {}, () => {});
  };

  /** @param {State} state */
  #enter(state) {
    this.requestUpdate();
    if (state === this.state) return;
    const { states } = this.#internals;
    states?.delete(this.state);
    states?.add(state);
    this.state = state;
    this.#emit("statechange", { state });
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} [params]
   */
  #say(key, params = {}) {
    const { panel, catalogue } = this.#parts ?? {};
    if (panel && catalogue) this.#announcement = panel.fill(catalogue[key] ?? "", params, this.#language);
    this.requestUpdate();
  }

  /**
   * @param {string} name
   * @param {object} detail
   * @param {boolean} [cancelable]
   */
  #emit(name, detail, cancelable = false) {
    return this.dispatchEvent(
      new CustomEvent(`prelisten-${name}`, { detail, cancelable, bubbles: true, composed: true }),
    );
  }

  /** @param {Event} event */
  #adopt(event) {
    const slotted = /** @type {HTMLSlotElement} */ (event.target).assignedElements({ flatten: true });
    const inputs = slotted.flatMap((node) => [node, ...node.querySelectorAll("input")]);
    const input = inputs.find((node) => node instanceof HTMLInputElement && node.type === "file");
    if (!input || input === this.#input) return;
    this.#input = /** @type {HTMLInputElement} */ (input);
    nameInput(this.#input, this.#internals.labels);
    if (this.file) this.check(); // Some browsers restore a file when a page is loaded again.
  }

  /**
   * @param {import("./bundle.js").Catalogue} catalogue
   * @returns {import("./panel.js").View}
   */
  #view(catalogue) {
    const allowed = [this.show, this.#session?.ui.show ?? "score"].map((show) => Math.max(0, SHOWS.indexOf(show)));
    return {
      catalogue,
      language: this.#language,
      state: this.state,
      progress: this.#progress,
      result: this.result,
      show: SHOWS[Math.min(...allowed)],
      isTest: Boolean(this.test && this.#session?.fixed),
      error: this.#code ? this.#sentence(this.#code) : "",
      held: this.#held,
      cancel: () => {
        this.cancel();
        this.#input?.focus(); // The button that had the focus is gone.
      },
      retry: () => {
        if (this.state === "stale") return this.#input?.click();
        this.check();
        this.#input?.focus();
      },
    };
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    if (changed.has("session") || changed.has("action") || changed.has("seal")) this.#renew();
  }

  render() {
    const { panel, catalogue } = this.#parts ?? {};
    const failed = this.#code && !panel;
    const idle = this.seal === "result" ? "ui.idle.result" : "ui.idle"; // What is sent when: never say less.
    return html`
      <div part="base" class="base" lang=${this.#language}>
        <div part="control" class="control">
          <slot name="label"></slot>
          <slot @slotchange=${this.#adopt}></slot>
          <slot name="help"></slot>
          <slot name="privacy"><p class="note">${failed ? this.#sentence(this.#code) : this.#early[idle]}</p></slot>
        </div>
        ${panel && catalogue ? panel.render(this.#view(catalogue), { html, svg, nothing }) : nothing}
        <slot name="footer"></slot>
        <p part="status" class="status" role="status">${this.#announcement}</p>
      </div>
    `;
  }
}

/**
 * @param {File} file
 * @returns {Promise<boolean>} whether it can still be read: a file changed on disk cannot
 */
async function isUnchanged(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
