// @ts-check
// What stands in the card before anything is heard: the label, the input, the microphone's button, the declaration,
// and the note on what is sent when.
import { html, nothing } from "lit";

/**
 * @typedef {{
 *   strings: Record<string, string>,
 *   isOff: boolean,
 *   recorder: unknown,
 *   note: string,
 *   isDeclared: boolean | null,
 *   adopt: () => void,
 *   record: () => void,
 *   declare: (isDeclared: boolean) => void,
 * }} Control `recorder` is what it shows of itself once it is there, `null` before, `nothing` where none is wanted;
 *   `isDeclared` is null where there is nothing to declare
 */

/** @param {Control} control */
export function control(control) {
  const { note, adopt, isDeclared } = control;
  return html`<div part="control" class="control">
    <slot name="label"></slot>
    <slot @slotchange=${adopt}></slot>
    ${control.recorder ?? microphone(control)}
    <slot name="help"></slot>
    ${isDeclared === null ? nothing : declaration(control)}
    <slot name="privacy"><p class="note">${note}</p></slot>
  </div>`;
}

/** @param {Control} control */
function microphone({ strings, isOff, record }) {
  return html`<div class="record">
    <button part="record-button" type="button" ?disabled=${isOff} @click=${record}>${strings["ui.record"]}</button>
  </div>`;
}

/** @param {Control} control */
function declaration({ strings, isOff, isDeclared, declare }) {
  const toggle = (/** @type {Event} */ { target }) => declare(/** @type {HTMLInputElement} */ (target).checked);
  return html`<label part="declaration" class="declaration">
    <input type="checkbox" .checked=${isDeclared} ?disabled=${isOff} @change=${toggle} />
    <span>${strings["ui.declare"]}</span>
  </label>`;
}
