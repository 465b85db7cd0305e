// @ts-check
/**
 * Follow a submission until it is decided, then show the decided page. Without JavaScript the page reloads itself.
 *
 * The server sends events to a few pages at a time; to the others, and through a proxy that keeps events back, the
 * page asks again and again. While events come it asks now and then all the same: an open stream proves nothing.
 */

const POLL_MS = [500, 500, 1000, 1000, 2000];
const BESIDE_STREAM_MS = 15_000;
// The first event comes with the connection; a stream without one is kept back on its way.
const FIRST_EVENT_MS = 4_000;

const card = /** @type {HTMLElement} */ (document.querySelector("[data-decision]"));
const text = document.getElementById("progress-text");
const bar = document.querySelector("progress");
let isStreaming = false;
let isOver = false;

/**
 * @typedef {{ phase: string, fraction: number | null, text: string }} Progress
 * @typedef {{ state: string, progress: Progress | null }} Status
 */

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Show how far it is; at the decision, its page. @param {Status} status */
function show(status) {
  if (isOver) return;
  if (status.state === "decided") {
    isOver = true;
    location.reload();
  } else if (status.progress) {
    // Only when it changes: every change is read aloud.
    if (text && text.textContent !== status.progress.text) text.textContent = status.progress.text;
    if (status.progress.fraction === null) bar?.removeAttribute("value");
    else if (bar) bar.value = status.progress.fraction;
  }
}

function stream() {
  const source = new EventSource(String(card.dataset.events));
  const giveUp = () => {
    source.close();
    isStreaming = false;
  };
  const timer = setTimeout(giveUp, FIRST_EVENT_MS);
  source.addEventListener("status", (event) => {
    clearTimeout(timer);
    isStreaming = true;
    show(JSON.parse(event.data));
    if (isOver) giveUp();
  });
  source.addEventListener("error", () => {
    // The browser connects again by itself, unless the server has refused; until it has, asking goes on.
    isStreaming = false;
    if (source.readyState === EventSource.CLOSED) clearTimeout(timer);
  });
}

async function poll() {
  let asked = 0;
  for (let round = 0; !isOver; round += 1) {
    await pause(POLL_MS[Math.min(round, POLL_MS.length - 1)]);
    if (isStreaming && Date.now() - asked < BESIDE_STREAM_MS) continue;
    asked = Date.now();
    const answer = await fetch(String(card.dataset.status), { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer?.ok) show(await answer.json());
    // Erased meanwhile: the page says so. A server that is away for a moment changes nothing.
    else if (answer?.status === 410 && !isOver) {
      isOver = true;
      location.reload();
    }
  }
}

stream();
await poll();
