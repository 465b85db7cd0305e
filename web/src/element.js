// @ts-check
// <prelisten-check>: wraps a native file input, shows what the detector hears, and adds the sealed hint to the form.
import { LitElement, html, nothing, svg } from "lit";
import { EARLY, HERE, earlySentences, loadParts, sentences } from "./bundle.js";
import { CheckList } from "./check-list.js";
import { BUSY } from "./file-check.js";
import { joinHold } from "./hold.js";
import { adoptButtonStyles, nameInput } from "./input.js";
import { languageOf, unwatchLanguage, watchLanguage } from "./language.js";
import { styles } from "./styles.js";

/** @typedef {import("./bundle.js").Parts} Parts */
/** @typedef {import("./file-check.js").FileCheck} FileCheck */
/** @typedef {import("./file-check.js").State} State */

const WAIT_MS = 15_000; // The longest that a submit is ever held.
const MAX_SECONDS = 120;
const RENEWAL_RETRY_MS = 30_000; // Where a token that is to be kept fresh could not be sealed again.
const HOLDS = new Set([...BUSY, "done", "sealing"]);
const SHOWS = ["nothing", "band", "score"];

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
  /** @type {import("./file-check.js").Host} */
  #host = {
    load: () => this.#load(),
    options: () => ({ test: this.test, maxSeconds: this.maxSeconds }),
    sealsAtOnce: () => this.seal === "result",
    changed: () => this.#refresh(),
    progressed: ({ progress }) => this.#progressed({ .../** @type {object} */ (progress) }),
    heard: ({ outcome }) => {
      this.#concludeAloud();
      this.#emit("result", { ...outcome?.result });
    },
    failed: (check, message) => this.#failed(check, message),
    sealed: (_, sealed) => {
      this.#renew();
      this.#emit("sealed", { expiresAt: sealed.expires_at });
    },
  };
  #checks = new CheckList(this.#host);
  /** The files that were last checked, or were to be: a script may put others into the input. @type {File[]} */
  #checked = [];
  #announced = 0;
  #announcement = "";
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
    if (this.#checks.isBusy) this.check(); // Moved to another place in the page while it listened.
    this.#renew();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    window.removeEventListener("online", this.#online);
    window.removeEventListener("pageshow", this.#shown);
    document.removeEventListener("visibilitychange", this.#renew);
    unwatchLanguage(this.#speak);
    this.#checks.abort();
  }

  /** The wrapped native input. */
  get input() {
    return this.#input;
  }

  /** The chosen file. */
  get file() {
    return this.#files()[0] ?? null;
  }

  get form() {
    return this.#internals.form;
  }

  /** What the detector said, or null. */
  get result() {
    return this.#checks.all[0]?.outcome?.result ?? null;
  }

  /** The sealed token of this file, or "". */
  get value() {
    return this.#checks.all[0]?.token ?? "";
  }

  /** Analyse the chosen file, from the start. Resolves when it is done or has failed; never rejects. */
  async check() {
    this.#forget();
    const files = (this.#checked = this.#files());
    if (files.length && !this.#isOff() && this.#emit("start", {}, true)) this.#checks.start(files);
    this.#refresh();
    return this.#checks.running;
  }

  /** Stop analysing. The form can still be sent. */
  cancel() {
    this.#checks.cancel();
  }

  /** Forget the result, as after a form's reset. */
  reset() {
    this.#forget();
    this.#checked = this.#files();
    this.#refresh();
  }

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#hold?.leave();
    this.#hold = form && joinHold(form, {
      wait: () => Math.min(WAIT_MS, Math.max(0, Number.isFinite(this.wait) ? this.wait : WAIT_MS)),
      needsHold: () => !this.#isOff() && (this.#isSwapped() ? this.file !== null : this.#checks.isAny(HOLDS)),
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

  #files() {
    return [...(this.#input?.files ?? [])].slice(0, 1);
  }

  #isOff() {
    return this.disabled || this.#formDisabled;
  }

  /** Whether a script has changed the input's files: no event tells of that. */
  #isSwapped() {
    const files = this.#files();
    return files.length !== this.#checked.length || files.some((file, index) => file !== this.#checked[index]);
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
    if (this.#checks.isBusy && !this.#announcement) this.#say("ui.announce.start");
    return { ...parts, session };
  }

  /** @param {object} progress */
  #progressed(progress) {
    const quarter = Math.floor(this.#checks.fraction * 4);
    if (quarter > this.#announced && quarter < 4) {
      this.#announced = quarter;
      this.#say("ui.announce.progress", { percent: quarter * 25 });
    }
    this.#emit("progress", progress);
    this.requestUpdate();
  }

  /**
   * @param {FileCheck} check
   * @param {string} message
   */
  #failed({ code, state }, message) {
    this.#concludeAloud();
    const recoverable = state !== "unsupported";
    if (code !== "cancelled") this.#emit("error", { code, recoverable, help: this.#sentence(code), message });
  }

  /** Say the outcome, once all is heard. */
  #concludeAloud() {
    const [{ code }] = this.#checks.all;
    if (code) this.#announcement = this.#sentence(code);
    else if (this.#parts) this.#announcement = this.#parts.panel.summary(this.#view(this.#parts));
  }

  /** @param {string} code */
  #sentence(code) {
    const catalogue = this.#parts?.catalogue ?? {};
    return catalogue[`error.${code}`] ?? catalogue[`error.${this.state}`] ?? this.#early[`error.${code}`] ?? this.#early["ui.idle.failed"];
  }

  /** Stop what runs and drop what was heard and sealed. */
  #forget() {
    clearTimeout(this.#renewal);
    this.#checks.drop();
    this.#checked = [];
    this.#announced = 0;
    this.#announcement = "";
  }

  #entryName() {
    return this.name || (this.#input?.name ? `${this.#input.name}-hint` : "");
  }

  /** Bring the form's entries and the state up to what the checks are now. */
  #refresh() {
    const name = this.#entryName();
    const entries = new FormData();
    for (const token of name ? this.#checks.tokens : []) entries.append(name, token);
    this.#internals.setFormValue([...entries].length ? entries : null, null);
    this.requestUpdate();
    const { state } = this.#checks;
    if (state === this.state) return;
    this.#internals.states?.delete(this.state);
    this.#internals.states?.add(state);
    this.state = state;
    this.#emit("statechange", { state });
  }

  /**
   * Wait for the result, then have it sealed. Called while the submit is held; `signal` ends when the time is over.
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>} false only when a file on disk is no longer the one that was heard
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
    if (held && this.#checks.isBusy) this.#say("ui.sending");
    this.requestUpdate();
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>}
   */
  async #sealInTime(signal) {
    if (this.#isSwapped()) this.check(); // Nobody has heard these.
    const checks = this.#checks;
    const { staleCount } = checks;
    for (let running; running !== checks.running; ) await (running = checks.running); // A new file starts anew.
    if (checks.staleCount === staleCount && !this.#isSwapped()) {
      if (checks.isAny(HOLDS)) this.#say("ui.sealing");
      await checks.seal(signal, this.seal === "result");
    }
    const mayGo = checks.staleCount === staleCount;
    if (mayGo) checks.spend(); // They go now; the next submit needs others.
    return mayGo;
  }

  /**
   * A page may read the form at any time: keep its tokens fresh, as long as somebody sees the page. A timer may end a
   * little before the clock says so, and a server may be away: whatever happens, the next look is planned.
   */
  #renew = () => {
    clearTimeout(this.#renewal);
    const { restMs } = this.#checks;
    if (this.seal !== "result" || restMs === Infinity || document.hidden || !this.isConnected) return;
    this.#renewal = setTimeout(this.#renew, restMs > 0 ? Math.ceil(restMs) : RENEWAL_RETRY_MS);
    if (restMs > 0 || this.state !== "done") return;
    this.#checks.running = this.#checks.seal(new AbortController().signal, true);
  };

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
   * @param {Parts} parts
   * @returns {import("./panel.js").View}
   */
  #view({ catalogue }) {
    const allowed = [this.show, this.#session?.ui.show ?? "score"].map((show) => Math.max(0, SHOWS.indexOf(show)));
    const [check] = this.#checks.all;
    return {
      catalogue,
      language: this.#language,
      state: this.state,
      progress: check?.progress ?? null,
      result: this.result,
      show: SHOWS[Math.min(...allowed)],
      isTest: Boolean(this.test && this.#session?.fixed),
      error: check?.code ? this.#sentence(check.code) : "",
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
    const failed = !this.#parts && this.#checks.all[0]?.code;
    const idle = this.seal === "result" ? "ui.idle.result" : "ui.idle"; // What is sent when: never say less.
    return html`
      <div part="base" class="base" lang=${this.#language}>
        <div part="control" class="control">
          <slot name="label"></slot>
          <slot @slotchange=${this.#adopt}></slot>
          <slot name="help"></slot>
          <slot name="privacy"><p class="note">${failed ? this.#sentence(failed) : this.#early[idle]}</p></slot>
        </div>
        ${this.#parts ? this.#parts.panel.render(this.#view(this.#parts), { html, svg, nothing }) : nothing}
        <slot name="footer"></slot>
        <p part="status" class="status" role="status">${this.#announcement}</p>
      </div>
    `;
  }
}
