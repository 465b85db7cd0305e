// @ts-check
// <prelisten-check>: wraps a native file input, shows what the detector hears, and adds the sealed hint to the form.
import { html, nothing, svg } from "lit";
import { Announcer } from "./announcer.js";
import { WAIT_MS } from "./attributes.js";
import { loadParts } from "./bundle.js";
import { control } from "./control.js";
import { FormControl } from "./form-control.js";
import { joinHold } from "./hold.js";
import { adoptButtonStyles } from "./input.js";
import { styles } from "./styles.js";
import { takeTurn, upgrade } from "./turn.js";
import { endpointOf, screen, warm } from "./upload.js";
import { Waiting } from "./waiting.js";
import { Wording } from "./wording.js";

/** @typedef {import("./bundle.js").Parts} Parts */
/** @typedef {import("../client/check-list.js").CheckList} CheckList */
/** @typedef {import("../client/file-check.js").FileCheck} FileCheck */
/** @typedef {import("../client/file-check.js").State} State */

const HOLDS = new Set(["loading", "reading", "analysing", "done", "sealing"]);
const SHOWS = ["nothing", "band", "score"];
const TAG = "prelisten-check";
/** @type {import("../panel/panel.js").Lit} */
const LIT = { html, svg, nothing };

export class PrelistenCheck extends FormControl {
  static screen = screen;
  static styles = styles;
  static warm = warm;

  /**
   * Define the element, once: a second copy of the script, or a bundler's copy beside ours, changes nothing.
   * @param {string} [tag]
   */
  static define(tag = TAG) {
    if (customElements.get(tag)) return;
    const one = tag === TAG ? PrelistenCheck : class extends PrelistenCheck {}; // One class, one tag.
    upgrade(tag, () => customElements.define(tag, one));
  }

  /** @type {Parts | null} */
  #parts = null;
  /** @type {import("../client/session.js").Session | null} */
  #session = null;
  /** @type {() => void} */
  #setReady = () => {};
  #ready = new Promise((/** @type {(value?: undefined) => void} */ resolve) => (this.#setReady = resolve));
  /** @type {import("../client/recorder.js").Recorder | null} */
  #recorder = null;
  /** @type {import("../client/file-check.js").Host} */
  #host = {
    load: () => this.#load(),
    options: () => ({ test: this.test, maxSeconds: this.maxSeconds, provenance: this.provenance }),
    sealsAtOnce: () => this.seal === "result",
    changed: () => this.#refresh(),
    progressed: ({ progress }) => this.#progressed(progress),
    heard: ({ file, outcome }) => {
      this.#setReady();
      this.#concludeAloud();
      this.#emit("result", { ...outcome?.result, file });
    },
    failed: (check, message) => this.#failed(check, message),
    sealed: ({ file }, sealed) => {
      this.#renewal?.plan();
      this.#emit("sealed", { expiresAt: sealed.expires_at, file });
    },
  };
  /** @type {CheckList | Waiting} */
  #checks = new Waiting();
  #wording = new Wording(this);
  #announcer = new Announcer(this, this.#wording);
  /** @type {import("../client/renewal.js").Renewal | null} */
  #renewal = null;
  /** The files that were last checked, or were to be: a script may put others into the input. @type {File[]} */
  #checked = [];
  #declared = false;
  #held = false;
  #hasAppeared = false;
  #seconds = 0; // That a submit is held at most.
  #formDisabled = false;
  /** @type {ReturnType<typeof joinHold> | null} */
  #hold = null;

  constructor() {
    super();
    for (const intent of ["focusin", "pointerenter", "dragenter"]) {
      this.addEventListener(intent, () => this.preload !== "none" && this.#warm(), { passive: true });
    }
    this.addEventListener("change", (event) => this.#isOurs(event) && this.#chosen());
    // The same file chosen again, after it was changed: some browsers call that cancelled, and give a new File.
    this.addEventListener("cancel", (event) => this.#isOurs(event) && this.#isSwapped() && this.#chosen());
    // A <label> around the element names the element: hand its click on to the input.
    this.addEventListener("click", (event) => event.composedPath()[0] === this && this.input?.click());
  }

  connectedCallback() {
    takeTurn(this.#appear);
    window.addEventListener("online", this.#online);
    window.addEventListener("pageshow", this.#shown);
    if (this.#checks.isBusy) this.check(); // Moved to another place in the page while it listened.
  }

  /** Show itself in its place; nothing for an element that has left it again, or has appeared. */
  #appear = () => {
    if (this.#hasAppeared || !this.isConnected) return;
    this.#hasAppeared = true;
    super.connectedCallback();
    adoptButtonStyles(this, this.getRootNode());
  };

  disconnectedCallback() {
    this.#hasAppeared = false;
    super.disconnectedCallback();
    window.removeEventListener("online", this.#online);
    window.removeEventListener("pageshow", this.#shown);
    this.#checks.abort();
    this.#recorder?.discard();
  }

  /** What the detector said of it, or null. */
  get result() {
    return this.entries[0]?.result ?? null;
  }

  /** The sealed token of this file, or "". */
  get value() {
    return this.entries[0]?.value ?? "";
  }

  /** The same for each chosen file, in their order. */
  get entries() {
    return this.#checks.all.map(({ file, state, outcome, token }) => ({
      ...{ file, state, value: token },
      result: outcome?.result ?? null,
    }));
  }

  /** Kept when the detector is there to listen. Does not make it load. */
  get ready() {
    return this.#ready;
  }

  /** The sentences in use. Setting some replaces those. @returns {Record<string, string>} */
  get strings() {
    return this.#wording.strings;
  }

  set strings(own) {
    this.#wording.own = { ...own };
    this.requestUpdate();
  }

  /** Analyse the chosen file, from the start. Resolves when it is done or has failed; never rejects. */
  async check() {
    this.#forget();
    const files = (this.#checked = this._files);
    if (!files.length || this.#isOff() || !this.#emit("start", {}, true)) return this.#refresh();
    const waiting = (this.#checks = new Waiting("loading"));
    waiting.running = this.#begin(files, waiting);
    this.#refresh();
    return waiting.running;
  }

  /**
   * @param {File[]} files
   * @param {Waiting} waiting until there is the code that checks them
   */
  async #begin(files, waiting) {
    try {
      const { CheckList } = await this.#load();
      if (this.#checks !== waiting) return; // Another file.
      if (!this.isConnected) return; // Checked when it is put back.
      const checks = new CheckList(this.#host);
      checks.start(files);
      if (!waiting.isBusy) checks.cancel(); // Before there was anything to stop; each file can be checked again.
      this.#checks = checks;
      this.#refresh();
      await checks.running;
    } catch (error) {
      if (this.#checks !== waiting || !waiting.isBusy) return;
      this.#notLoaded(waiting, files[0], error);
    }
  }

  /**
   * @param {Waiting} waiting
   * @param {File | null} file
   * @param {unknown} error why the lazy parts are not there
   */
  #notLoaded(waiting, file, error) {
    const isOffline = !navigator.onLine;
    waiting.state = isOffline ? "offline" : "error";
    waiting.code = isOffline ? "offline" : "load_failed";
    this.#refresh();
    this.#failed({ ...waiting, file }, String(error));
  }

  /** Stop analysing. The form can still be sent. */
  cancel() {
    this.#checks.cancel();
    this.#refresh();
  }

  /** Forget the result, as after a form's reset. */
  reset() {
    this.#forget();
    this.#checked = this._files;
    this.#refresh();
  }

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#hold?.leave();
    this.#hold = form && joinHold(form, {
      wait: () => Math.min(WAIT_MS, Math.max(0, Number.isFinite(this.wait) ? this.wait : WAIT_MS)),
      needsHold: () => this.#needsHold(),
      prepare: (signal, ms) => this.#prepare(signal, ms),
      inspect: (entries) => (this.#isSwapped() || this._isElsewhere) && this._takeOut(entries),
    });
  }

  /** @param {boolean} disabled by a fieldset */
  formDisabledCallback(disabled) {
    this.#formDisabled = disabled;
    if (disabled) this.#recorder?.discard();
    if (disabled || !this.file) this.reset();
    else this.#chosen();
  }

  formResetCallback() {
    this.#hold?.withdraw();
    this.#recorder?.discard();
    this.#declared = false;
    this.reset();
  }

  /** A restored form has no token: it was for one submission. */
  formStateRestoreCallback() {}

  #isOff() {
    return this.disabled || this.#formDisabled;
  }

  /** Whether a script has changed the input's files: no event tells of that. */
  #isSwapped() {
    const files = this._files;
    return files.length !== this.#checked.length || files.some((file, index) => file !== this.#checked[index]);
  }

  /** @param {Event} event */
  #isOurs({ target }) {
    return target !== null && target === this.input;
  }

  /** Files were chosen, or put back by the browser. */
  #chosen() {
    if (this.auto === "select") return this.check();
    this.#forget(); // Until the submit, or the page, asks for the check.
    return this.#refresh();
  }

  #needsHold() {
    if (this.#isOff() || this._isElsewhere) return false;
    if (this.#recorder?.isRecording) return true;
    return this.#isSwapped() ? this.auto !== "manual" && this.file !== null : this.#checks.isAny(HOLDS);
  }

  #online = () => {
    if (this.state === "offline") this.check();
  };

  /** A browser that goes back may put the file into the input again, after the element is there. */
  #shown = async () => {
    await this.updateComplete; // What the page set before counts.
    if (this.file && this.state === "idle") this.#chosen();
  };

  /** Load the lazy parts: someone means to choose a file. Failing is for `check` to say. */
  async #warm() {
    if (this.#isOff()) return;
    try {
      const { client, session } = await this.#load();
      if (this.test) await session.challenge(); // It tells whether the runtime will be needed.
      if (session.fixed) this.#setReady();
      else client.warm();
      await session.challenge();
    } catch {
      // Tried again when there is a file.
    }
  }

  async #load() {
    this.#appear();
    const { language } = this.#wording;
    const parts = await loadParts(language);
    const binding = () => ({ action: this.action, session: this.session, test: this.test });
    const session = (this.#session ??= new parts.Session(endpointOf(this.endpoint), binding));
    if (!this.#parts && this.isConnected) {
      this.#parts = parts;
      parts.panel.adoptStyles(/** @type {ShadowRoot} */ (this.renderRoot));
      this.#wording.use(language, parts);
      const restMs = () => (this.seal === "result" ? this.#checks.restMs : Infinity);
      this.#renewal = new parts.Renewal(this, restMs, () => this.#sealAnew());
      this.requestUpdate();
    }
    if (this.#checks.isBusy && !this.#announcer.text) this.#announcer.say("ui.announce.start");
    const client = this.workerSrc ? parts.sharedClient(new URL(this.workerSrc, document.baseURI)) : parts.client;
    client.ready.then(this.#setReady);
    return { ...parts, client, session };
  }

  /** @param {import("../protocol.js").Progress | null} progress */
  #progressed(progress) {
    const { peaks, ...told } = progress ?? {}; // The outline is for the panel.
    this.#announcer.progress(this.#checks.fraction);
    this.#emit("progress", told);
    this.requestUpdate();
  }

  /**
   * @param {{code: string, file: File | null, state: State}} check
   * @param {string} message
   */
  #failed({ code, file, state }, message) {
    this.#concludeAloud();
    const recoverable = state !== "unsupported";
    if (code !== "cancelled") this.#emit("error", { code, recoverable, help: this.#sentence(code), message, file });
  }

  /** Say the outcome, once all is heard. */
  #concludeAloud() {
    const { all, isBusy, code } = this.#checks;
    if (isBusy) return;
    if (all.length > 1) {
      const done = all.filter(({ outcome }) => outcome).length;
      this.#announcer.say(done === all.length ? "ui.files.done" : "ui.files.partly", { done, total: all.length });
    } else if (code) this.#announcer.announce(this.#sentence(code));
    else if (this.#parts) this.#announcer.announce(this.#parts.panel.summary(this.#view(all[0])));
  }

  /** @param {string} code */
  #sentence(code) {
    return this.#wording.ofError(code, this.state);
  }

  /** Stop what runs and drop what was heard and sealed. */
  #forget() {
    this.#renewal?.stop();
    this.#checks.drop();
    this.#checks = new Waiting();
    this.#checked = [];
    this.#announcer.forget();
  }

  /** Bring the form's entries and the state up to what the checks are now. */
  #refresh() {
    this._setEntries(this.#checks.tokens, this.declare && this.#declared);
    this.requestUpdate();
    const { state } = this.#checks;
    if (this._enter(state)) this.#emit("statechange", { state });
  }

  /**
   * Wait for the result, then have it sealed. Called while the submit is held; `signal` ends when the time is over.
   * @param {AbortSignal} signal
   * @param {number} ms
   * @returns {Promise<boolean>} false only when a file on disk is no longer the one that was heard
   */
  async #prepare(signal, ms) {
    this.#seconds = Math.ceil(ms / 1000);
    this.#wait(true);
    signal.addEventListener("abort", () => this.#checks.spend(), { once: true }); // The form goes with what there is.
    try {
      return await this.#sealInTime(signal);
    } finally {
      this.#wait(false);
    }
  }

  /** @param {boolean} held whether a submit waits, so that the person sees why nothing seems to happen */
  #wait(held) {
    this.#held = held;
    if (held && this.#checks.isBusy) this.#announcer.say("ui.sending", { seconds: this.#seconds });
    this.requestUpdate();
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>}
   */
  async #sealInTime(signal) {
    await this.#recorder?.stop();
    if (this.#isSwapped() && this.auto !== "manual") this.check(); // Nobody has heard these.
    const { staleCount } = this.#checks;
    for (let running; running !== this.#checks.running; ) await (running = this.#checks.running); // A new file starts anew.
    const checks = this.#checks;
    if (checks.staleCount === staleCount && !this.#isSwapped()) {
      if (checks.isAny(HOLDS)) this.#announcer.say("ui.sealing");
      await checks.seal(signal, this.seal === "result");
    }
    const mayGo = checks.staleCount === staleCount;
    if (mayGo && !signal.aborted) checks.spend(); // They go now; the next submit needs others.
    return mayGo;
  }

  #sealAnew() {
    if (this.state === "done") this.#checks.running = this.#checks.seal(new AbortController().signal, true);
  }

  #record = async () => {
    const parts = await this.#load().catch((error) => {
      if (this.#checks instanceof Waiting) this.#notLoaded(this.#checks, null, error);
    });
    if (!parts) return undefined;
    this.#recorder ??= new parts.Recorder({
      element: this,
      host: this.#host,
      isHeard: () => this.auto !== "manual" && this.show !== "nothing" && !["none", "status"].includes(this.appearance),
      changed: () => this.requestUpdate(),
      say: (key) => this.#announcer.say(key),
    });
    return this.isConnected ? this.#recorder.start() : undefined;
  };

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

  /** What stands in the page has changed: another input, or one that got a file before the element was there. */
  #adopt() {
    if (this.file && this.#isSwapped()) this.#chosen();
    else if (!this.input) this.reset();
    else this.#refresh(); // The input's name is known now.
  }

  /**
   * @param {FileCheck} check
   * @returns {import("../panel/panel.js").View}
   */
  #view(check) {
    const allowed = [this.show, this.#session?.ui.show ?? "score"].map((show) => Math.max(0, SHOWS.indexOf(show)));
    const { file, state, progress, outcome, code } = check;
    const isOne = this.#checks.all.length === 1;
    return {
      host: this,
      catalogue: this.strings,
      language: this.#wording.language,
      appearance: this.appearance,
      waveform: !["off", "none", "false"].includes(this.waveform ?? ""),
      title: isOne ? "" : file.name,
      file,
      state,
      progress,
      result: outcome?.result ?? null,
      peaks: outcome?.peaks ?? progress?.peaks ?? null,
      show: SHOWS[Math.min(...allowed)],
      isTest: Boolean(this.test && this.#session?.fixed),
      error: code ? this.#sentence(code) : "",
      held: this.#held,
      seconds: this.#seconds,
      cancel: () => {
        if (this.#held) this.cancel(); // "Send now" is about all.
        else check.cancel();
        this.input?.focus(); // The button that had the focus is gone.
      },
      retry: () => {
        if (state === "stale") return this.input?.click();
        if ("redo" in this.#checks && !isOne) this.#checks.redo(check);
        else this.check();
        this.#refresh();
        this.input?.focus();
      },
    };
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    if (changed.has("session") || changed.has("action") || changed.has("seal")) this.#renewal?.plan();
    if (changed.has("declare") || changed.has("name")) this.#refresh();
    if (changed.has("preload") && this.preload === "idle") whenIdle(() => this.#warm());
  }

  render() {
    const failed = !this.#checks.all.length && this.#checks.code;
    const idle = this.seal === "result" ? "ui.idle.result" : "ui.idle"; // What is sent when: never say less.
    return html`
      <div part="base" class="base" lang=${this.#wording.language}>
        ${this.#control(failed ? this.#sentence(failed) : this.strings[idle])}
        ${this.#parts ? this.#checks.all.map((check) => this.#parts?.panel.render(this.#view(check), LIT)) : nothing}
        <div part="footer" class="footer"><slot name="footer"></slot></div>
        <p part="status" class="status" role="status">${this.#announcer.text}</p>
      </div>
    `;
  }

  /** @param {string} note */
  #control(note) {
    const { strings } = this;
    const isOff = this.#isOff();
    const recorder = this.record ? this.#recorder?.render(strings, this.#wording.language, isOff, LIT) ?? null : nothing;
    return control({
      ...{ strings, isOff, recorder, note, adopt: () => this.#adopt(), record: this.#record },
      isDeclared: this.declare ? this.#declared : null,
      declare: (isDeclared) => {
        this.#declared = isDeclared;
        this.#refresh();
      },
    });
  }
}

/** @param {() => void} action */
function whenIdle(action) {
  const { requestIdleCallback = setTimeout } = window; // Safari has none.
  requestIdleCallback(action);
}
