// @ts-check
// The script that a page includes: defines the element and, with data-enhance, wraps the inputs that it names.
import { PrelistenCheck } from "./element.js";
import { upgrade } from "./turn.js";

export { PrelistenCheck };

const TAG = "prelisten-check";

PrelistenCheck.define();

/** Wrap every input that a `<script data-enhance="selector">` of this very script names. */
function enhance() {
  for (const script of /** @type {NodeListOf<HTMLScriptElement>} */ (document.querySelectorAll("script[data-enhance]"))) {
    if (script.src === import.meta.url) document.querySelectorAll(script.dataset.enhance ?? "").forEach(wrap);
  }
}

/** @param {Element} input */
function wrap(input) {
  if (!(input instanceof HTMLInputElement) || input.type !== "file" || input.closest(TAG)) return;
  const element = document.createElement(TAG);
  for (const name of ["action", "session", "seal", "test"]) {
    const value = input.dataset[name];
    if (value) element.setAttribute(name, value);
  }
  input.replaceWith(element);
  element.append(input);
}

upgrade(TAG, enhance);
