// @ts-check
// When an element begins to show itself. The script's own task ends with the browser's end of the page (its last events,
// its layout), so what can wait until then does: no task becomes so long that a click in it would be felt.

let isWaiting = false;

/**
 * Make elements of what stands in the page: each takes its turn in a task of its own. Not where the page's scripts gave
 * one of them properties before: those count from the first render on, and none set later may come before it.
 * @param {string} tag
 * @param {() => void} action
 */
export function upgrade(tag, action) {
  isWaiting = [...document.querySelectorAll(tag)].every((element) => !Object.keys(element).length);
  try {
    action();
  } finally {
    isWaiting = false;
  }
}

/**
 * Begin: at once, before the next frame, where a page makes an element by itself.
 * @param {() => void} begin
 */
export function takeTurn(begin) {
  const { scheduler } = window;
  if (!isWaiting) begin();
  else if (scheduler?.postTask) scheduler.postTask(begin, { priority: "user-blocking" }).catch(reportError); // Before the next frame, mostly.
  else setTimeout(begin); // Safari has none, and a page may have another thing of this name.
}
