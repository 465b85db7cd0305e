// @ts-check
// Plays the chosen file itself, from any place, by a native <audio>: nothing is fetched and nothing is sent.

/** @type {Player | null} The one that sounds: a page plays one recording at a time. */
let sounding = null;

export class Player {
  /** @type {HTMLAudioElement} */
  audio = document.createElement("audio");
  isFailed = false;
  #url = "";
  #until = Infinity;

  /**
   * @param {File} file
   * @param {() => void} changed called when time, playing or failing changed
   */
  constructor(file, changed) {
    this.file = file;
    this.audio.preload = "metadata";
    for (const event of ["play", "pause", "ended", "seeked"]) this.audio.addEventListener(event, changed);
    this.audio.addEventListener("timeupdate", () => {
      if (this.audio.currentTime >= this.#until) this.pause();
      changed();
    });
    this.audio.addEventListener("error", () => {
      this.isFailed = this.#url !== ""; // Letting go of the file is no failure.
      changed();
    });
  }

  get isPlaying() {
    return !this.audio.paused && !this.audio.ended;
  }

  get seconds() {
    return this.audio.currentTime;
  }

  /** @param {number} seconds Where to go on, playing or not. */
  seek(seconds) {
    this.#open();
    this.#until = Infinity; // Who moves on wants to hear what is there.
    this.audio.currentTime = seconds;
  }

  /**
   * @param {number} [from] seconds; by default where it stands
   * @param {number} [until] seconds
   */
  play(from, until = Infinity) {
    this.#open();
    if (sounding !== this) sounding?.pause();
    sounding = this;
    if (from !== undefined) this.audio.currentTime = from;
    this.#until = until;
    // Refused where the browser cannot play the file; the `error` event says so.
    this.audio.play().catch(() => {});
  }

  pause() {
    this.#until = Infinity;
    this.audio.pause();
  }

  /** Stop, and let go of the file. */
  close() {
    this.pause();
    if (sounding === this) sounding = null;
    const url = this.#url;
    this.#url = "";
    this.audio.removeAttribute("src");
    if (url) URL.revokeObjectURL(url);
  }

  #open() {
    if (this.#url) return;
    this.#url = URL.createObjectURL(this.file);
    this.audio.src = this.#url;
  }
}
