// @ts-check
// What the recorder does in the page: hands its recording to the input, as if it had been chosen, and puts the focus.

/**
 * Choose a file for a person, and tell the page as a browser does.
 * @param {HTMLInputElement} input keeps what it has where it takes several
 * @param {File} file
 */
export function putFiles(input, file) {
  const transfer = new DataTransfer();
  for (const one of [...(input.multiple ? input.files ?? [] : []), file]) transfer.items.add(one);
  input.files = transfer.files;
  for (const name of ["input", "change"]) input.dispatchEvent(new Event(name, { bubbles: true, composed: name === "input" }));
}

/**
 * @param {import("lit").LitElement & {input: HTMLElement | null}} element
 * @param {string} part of it that gets the focus unless it is elsewhere; the input where there is no such part
 */
export async function focusPart(element, part) {
  const { activeElement, body } = document; // A button that is gone leaves it to the body.
  if (activeElement && activeElement !== body && !element.matches(":focus-within")) return;
  await new Promise((resolve) => setTimeout(resolve));
  await element.updateComplete;
  const there = /** @type {HTMLElement | null} */ (element.renderRoot.querySelector(`[part=${part}]`));
  (there ?? element.input)?.focus();
}
