// @ts-check
/** Follow a submission until it is decided, then show the decided page. Without JavaScript the page reloads itself. */

const POLL_MS = [500, 500, 1000, 1000, 2000];
const card = /** @type {HTMLElement} */ (document.querySelector("[data-decision]"));

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

for (let round = 0; ; round += 1) {
  await pause(POLL_MS[Math.min(round, POLL_MS.length - 1)]);
  const answer = await fetch(String(card.dataset.status), { headers: { Accept: "application/json" } }).catch(() => null);
  // A server that is away for a moment changes nothing: ask again.
  if (!answer?.ok) continue;
  const status = await answer.json();
  if (status.state === "decided") {
    location.reload();
    break;
  }
}
