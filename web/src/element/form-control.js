// @ts-check
// The element as a control of its form. The wrapped native input stays the one that holds the files and their
// validity: the element only adds entries beside it.
import { Attributes } from "./attributes.js";
import { findInput, nameInput } from "./input.js";

export class FormControl extends Attributes {
  static formAssociated = true;
  #internals = this.attachInternals();
  /** @type {HTMLInputElement | null} */
  #input = null;
  /** @type {string[]} */
  #tokens = [];

  /** The wrapped native input. A framework may have put another one in its place. */
  get input() {
    const input = findInput(this);
    if (input && input !== this.#input) {
      this.#input = input;
      nameInput(input, this.#internals.labels);
    }
    return input;
  }

  /** The chosen file; the first of several. */
  get file() {
    return this._files[0] ?? null;
  }

  get form() {
    return this.#internals.form;
  }

  /** The wrapped input's: the element adds no condition of its own, so that it never keeps a form from being sent. */
  get validity() {
    return (this.input ?? this.#internals).validity;
  }

  get validationMessage() {
    return (this.input ?? this.#internals).validationMessage;
  }

  checkValidity() {
    return (this.input ?? this.#internals).checkValidity();
  }

  reportValidity() {
    return (this.input ?? this.#internals).reportValidity();
  }

  /** @protected */
  get _files() {
    return [...(this.input?.files ?? [])];
  }

  /**
   * Whether this form does not send the file, because the input is another one's, or none's.
   * @protected
   */
  get _isElsewhere() {
    return this.input?.form !== this.form;
  }

  /** @protected */
  get _entryName() {
    const { input } = this;
    return this.name || (input?.name ? `${input.name}-hint` : "");
  }

  /**
   * Bring the form's entries up to date. A restored form gets none: a token is for one submission.
   * @protected
   * @param {string[]} tokens
   * @param {boolean} isDeclared whether the person says that the recording is computer-generated
   */
  _setEntries(tokens, isDeclared) {
    const name = this._entryName;
    const entries = new FormData();
    this.#tokens = tokens;
    for (const token of name ? tokens : []) entries.append(name, token);
    if (isDeclared && this.input?.name) entries.append(`${this.input.name}-declared`, "yes");
    this.#internals.setFormValue([...entries].length ? entries : null, null);
  }

  /**
   * Take this element's own tokens out of what is about to be sent: another one of the same name keeps its own.
   * @protected
   * @param {FormData} entries
   */
  _takeOut(entries) {
    const name = this._entryName;
    const own = [...this.#tokens];
    const others = entries.getAll(name).filter((entry) => {
      const at = own.indexOf(/** @type {string} */ (entry));
      return at < 0 || !own.splice(at, 1);
    });
    entries.delete(name);
    for (const entry of others) entries.append(name, entry);
  }

  /**
   * @protected
   * @param {import("../client/file-check.js").State} state
   * @returns {boolean} whether it is another one
   */
  _enter(state) {
    if (state === this.state) return false;
    this.#internals.states?.delete(this.state);
    this.#internals.states?.add(state);
    this.state = state;
    return true;
  }
}
