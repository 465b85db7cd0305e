// @ts-check
// What is shown of the rolling band while more is still to be heard. That it does not waver is Python's part.

/** @typedef {import("../protocol.js").RollingHint} RollingHint */

const EVERY_MS = 1000;

/** @returns {(latest?: RollingHint | null) => RollingHint | undefined} what is to be shown now: another hint once a second at most */
export function steady() {
  /** @type {RollingHint | undefined} */
  let shown;
  let since = -Infinity;
  return (latest) => {
    const now = performance.now();
    if (latest && now - since >= EVERY_MS) [shown, since] = [latest, now];
    return shown;
  };
}
