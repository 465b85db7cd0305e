// @ts-check
// The look before anything loads: tokens, the card, the file control. The panel brings the rest.
import { css } from "lit";

export const styles = css`
  :host {
    --_surface: var(--prelisten-surface, transparent);
    --_text: var(--prelisten-text, inherit);
    --_muted: var(--prelisten-muted, color-mix(in srgb, currentColor 72%, transparent));
    --_well: var(--prelisten-well, color-mix(in srgb, currentColor 5%, transparent));
    --_line: var(--prelisten-line, color-mix(in srgb, currentColor 20%, transparent));
    --_edge: var(--prelisten-edge, color-mix(in srgb, currentColor 62%, transparent));
    --_accent: var(--prelisten-accent, light-dark(#0b6157, #6fd0bf));
    --_radius: var(--prelisten-radius, 14px);
    display: block;
    max-width: 40rem;
    color: var(--_text);
    font: var(--prelisten-font, 400 1rem/1.5 system-ui, sans-serif);
    text-align: start;
  }
  :host([hidden]) {
    display: none;
  }
  /* By default the element takes the page's own colours, light or dark; a theme of its own brings a ground too. */
  :host([theme="light"]),
  :host([theme="dark"]) {
    --_surface: var(--prelisten-surface, light-dark(#fff, #171c1b));
    --_text: var(--prelisten-text, light-dark(#16211f, #e8eeea));
    color-scheme: light;
  }
  :host([theme="dark"]) {
    color-scheme: dark;
  }
  *,
  ::slotted(input) {
    box-sizing: border-box;
  }
  .base {
    overflow: hidden;
    border: 1px solid var(--_line);
    border-radius: var(--_radius);
    background: var(--_surface);
  }
  .control {
    padding: 16px 16px 12px;
  }
  ::slotted(input[type="file"]) {
    display: block;
    width: 100%;
    min-width: 0;
    padding: 10px;
    border: 1px dashed var(--_edge);
    border-radius: calc(var(--_radius) - 4px);
    background: var(--_well);
    color: inherit;
    font: inherit;
    font-size: 0.9375rem;
    cursor: pointer;
  }
  ::slotted(input[type="file"]:hover) {
    border-color: var(--_accent);
  }
  ::slotted(input[type="file"]:focus-visible) {
    outline: 2px solid var(--_accent);
    outline-offset: 2px;
  }
  .note {
    margin: 10px 0 0;
    color: var(--_muted);
    font-size: 0.875rem;
  }
  button {
    min-height: 36px;
    padding: 6px 14px;
    border: 1px solid var(--_edge);
    border-radius: 999px;
    background: none;
    color: inherit;
    font: inherit;
    font-size: 0.9375rem;
    font-weight: 600;
    cursor: pointer;
  }
  button:hover {
    border-color: var(--_accent);
    color: var(--_accent);
  }
  :focus-visible {
    outline: 2px solid var(--_accent);
    outline-offset: 2px;
  }
  .record,
  .declaration {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px;
    margin: 10px 0 0;
    font-size: 0.9375rem;
  }
  .declaration {
    flex-wrap: nowrap;
    align-items: flex-start;
  }
  .declaration input {
    flex: none;
    width: 24px;
    height: 24px;
    margin: 0;
    accent-color: var(--_accent);
  }
  :host([appearance="none"]) .base {
    overflow: visible;
    border: 0;
    background: none;
  }
  :host([appearance="none"]) .control {
    padding: 0;
  }
  :host(:is([appearance="none"], [appearance="status"])) .note {
    display: none;
  }
  .status {
    position: absolute;
    overflow: hidden;
    width: 1px;
    height: 1px;
    margin: 0;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

// The native button inside the native input cannot be reached from a shadow tree. No specificity: any rule of the
// page wins.
export const buttonStyles = (/** @type {string} */ tag) => `
:where(${tag} input[type="file"])::file-selector-button {
  margin-inline-end: 12px;
  padding: 7px 14px;
  border: 1px solid color-mix(in srgb, currentColor 62%, transparent);
  border-radius: 999px;
  background: light-dark(#fff, #ffffff14);
  color: inherit;
  font: inherit;
  font-weight: 600;
  cursor: pointer;
}`;
