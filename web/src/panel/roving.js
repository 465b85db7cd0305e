// @ts-check
// A group of buttons that is one stop of the Tab key: the arrow keys move inside it.

/** @param {FocusEvent} event the button that has the focus is the one that Tab comes back to */
export function remember({ currentTarget, target }) {
  for (const button of /** @type {HTMLElement} */ (currentTarget).querySelectorAll("button")) {
    button.tabIndex = button === target ? 0 : -1;
  }
}

/** @param {KeyboardEvent} event */
export function rove(event) {
  const group = /** @type {HTMLElement} */ (event.currentTarget);
  const buttons = [...group.querySelectorAll("button")];
  const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
  const forward = getComputedStyle(group).direction === "rtl" ? -1 : 1;
  const goals = /** @type {Record<string, number>} */ ({
    ArrowRight: at + forward,
    ArrowDown: at + 1,
    ArrowLeft: at - forward,
    ArrowUp: at - 1,
    Home: 0,
    End: buttons.length - 1,
  });
  const goal = buttons.at(goals[event.key] % buttons.length);
  if (!(event.key in goals) || !goal) return;
  event.preventDefault();
  goal.focus();
}
