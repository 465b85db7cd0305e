// @ts-check
// The checks of one element: one for each chosen file, one after the other.
import { FileCheck } from "./file-check.js";

/** @typedef {import("./file-check.js").State} State */
/** @typedef {import("./file-check.js").Host} Host */

/** Of several states the first one here is the element's. @type {State[]} */
const ORDER = [
  "reading",
  "analysing",
  "loading",
  "sealing",
  "stale",
  "done",
  "offline",
  "error",
  "timeout",
  "cancelled",
  "unsupported",
];

export class CheckList {
  /** @type {FileCheck[]} */
  all = [];
  /** Ends when every check has come to an end; another promise as soon as one is begun anew. */
  running = Promise.resolve();

  /** @param {Host} host */
  constructor(host) {
    this.host = host;
  }

  /** @returns {State} */
  get state() {
    return ORDER.find((state) => this.all.some((check) => check.state === state)) ?? "idle";
  }

  /** Of what went wrong with the first. */
  get code() {
    return this.all[0]?.code ?? "";
  }

  get isBusy() {
    return this.all.some((check) => check.isBusy);
  }

  /** @param {Set<string>} states */
  isAny(states) {
    return this.all.some(({ state }) => states.has(state));
  }

  /** How much is done of all, from 0 to 1. */
  get fraction() {
    const done = this.all.map(({ isBusy, state, progress }) => {
      return !isBusy ? 1 : state === "analysing" ? progress?.fraction ?? 0 : 0;
    });
    return done.reduce((sum, one) => sum + one, 0) / done.length;
  }

  /** For how long every token is fresh. */
  get restMs() {
    return Math.min(...this.all.map(({ restMs }) => restMs));
  }

  /** A token for each file, "" for one that has none; nothing where no file has one. */
  get tokens() {
    const tokens = this.all.map(({ token }) => token);
    return tokens.some(Boolean) ? tokens : [];
  }

  /** @param {File[]} files */
  start(files) {
    this.drop();
    this.all = files.map((file) => new FileCheck(file, this.host));
    for (const check of this.all) this.running = check.run(this.running);
  }

  /** @param {FileCheck} check to be done anew, from the start */
  redo(check) {
    check.drop();
    const again = new FileCheck(check.file, this.host);
    this.all = this.all.map((old) => (old === check ? again : old));
    this.running = again.run(this.running);
  }

  cancel() {
    this.all.forEach((check) => check.cancel());
  }

  abort() {
    this.all.forEach((check) => check.abort());
  }

  drop() {
    this.all.forEach((check) => check.drop());
    this.all = [];
    this.running = Promise.resolve();
  }

  /**
   * One after the other: a challenge is for one claim.
   * @param {AbortSignal} signal
   * @param {boolean} mayKeep
   */
  async seal(signal, mayKeep) {
    for (const check of [...this.all]) await check.seal(signal, mayKeep).catch(() => {}); // Sent without, then.
  }

  /** How many files were changed on disk after they were chosen. */
  get staleCount() {
    return this.all.filter(({ state }) => state === "stale").length;
  }

  spend() {
    this.all.forEach((check) => check.spend());
  }
}
