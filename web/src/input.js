// @ts-check
// The wrapped input: its name for a screen reader, and the look of its native button.
import { buttonStyles } from "./styles.js";

let labels = 0;

/**
 * A <label> around the element labels the element (it is the first labelable descendant), so the input inside would
 * have no name. `for` on the label, or a name of its own, needs nothing.
 * @param {HTMLInputElement} input
 * @param {NodeList} elementLabels labels of the custom element
 */
export function nameInput(input, elementLabels) {
  if (input.labels?.length || input.hasAttribute("aria-label") || input.hasAttribute("aria-labelledby")) return;
  const ids = /** @type {HTMLLabelElement[]} */ ([...elementLabels]).map((label) => {
    label.id ||= `prelisten-label-${(labels += 1)}`;
    return label.id;
  });
  if (ids.length) input.setAttribute("aria-labelledby", ids.join(" "));
}

/** @type {WeakSet<Node>} */
const dressed = new WeakSet();

/** @param {Node} root the document or shadow root that the element stands in */
export function adoptButtonStyles(root) {
  if (dressed.has(root) || !(root instanceof Document || root instanceof ShadowRoot)) return;
  dressed.add(root);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(buttonStyles);
  root.adoptedStyleSheets.push(sheet);
}
