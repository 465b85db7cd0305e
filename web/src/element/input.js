// @ts-check
// The wrapped input: its name for a screen reader, and the look of its native button.
import { buttonStyles } from "./styles.js";

const FILE_INPUT = "input[type=file]";

let labels = 0;

/**
 * @param {Element} element
 * @returns {HTMLInputElement | null} the file input inside; also one that came through a slot of a surrounding element
 */
export function findInput(element) {
  const slots = [...element.querySelectorAll("slot")].flatMap((slot) => slot.assignedElements({ flatten: true }));
  for (const root of [element, ...slots]) {
    if (root.matches(FILE_INPUT)) return /** @type {HTMLInputElement} */ (root);
    const inside = root.querySelector(FILE_INPUT);
    if (inside) return /** @type {HTMLInputElement} */ (inside);
  }
  return null;
}

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

/** Which tags a root has the styles of. @type {WeakMap<Node, Set<string>>} */
const dressed = new WeakMap();

/**
 * @param {Element} element
 * @param {Node} root the document or shadow root that it stands in
 */
export function adoptButtonStyles({ localName }, root) {
  const tags = dressed.get(root) ?? new Set();
  if (tags.has(localName) || !(root instanceof Document || root instanceof ShadowRoot)) return;
  dressed.set(root, tags.add(localName));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(buttonStyles(localName));
  root.adoptedStyleSheets.push(sheet);
}
