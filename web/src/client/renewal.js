// @ts-check
// Keeping tokens fresh for a page that may read the form at any time, as long as somebody sees the page.

const RETRY_MS = 30_000; // Where a token that is to be kept fresh could not be sealed again.

/** A controller of the element. */
export class Renewal {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import("lit").LitElement} host
   * @param {() => number} restMs for how long every token is fresh; Infinity where none is to be kept so
   * @param {() => void} renew
   */
  constructor(host, restMs, renew) {
    this.host = host;
    this.restMs = restMs;
    this.renew = renew;
    host.addController(this);
  }

  hostConnected() {
    document.addEventListener("visibilitychange", this.plan);
    this.plan();
  }

  hostDisconnected() {
    document.removeEventListener("visibilitychange", this.plan);
  }

  /**
   * A timer may end a little before the clock says so, and a server may be away: whatever happens, the next look is
   * planned.
   */
  plan = () => {
    clearTimeout(this.#timer);
    const restMs = this.restMs();
    if (restMs === Infinity || document.hidden || !this.host.isConnected) return;
    this.#timer = setTimeout(this.plan, restMs > 0 ? Math.ceil(restMs) : RETRY_MS);
    if (restMs <= 0) this.renew();
  };

  stop() {
    clearTimeout(this.#timer);
  }
}
