// @ts-check
// What stands in the place of the checks until their code is there, and where it could not be loaded.

/** @typedef {import("../client/file-check.js").State} State */

/** @implements {Pick<import("../client/check-list.js").CheckList, "isBusy" | "isAny" | "tokens" | "restMs" | "staleCount">} */
export class Waiting {
  /** @type {import("../client/file-check.js").FileCheck[]} */
  all = [];
  /** @type {string[]} */
  tokens = [];
  restMs = Infinity;
  staleCount = 0;
  fraction = 0;
  running = Promise.resolve();

  /**
   * @param {State} [state]
   * @param {string} [code] of what went wrong
   */
  constructor(state = "idle", code = "") {
    this.state = state;
    this.code = code;
  }

  get isBusy() {
    return this.state === "loading";
  }

  /** @param {Set<string>} states */
  isAny(states) {
    return states.has(this.state);
  }

  cancel() {
    if (this.isBusy) this.state = this.code = "cancelled";
  }

  abort() {}

  drop() {
    this.state = "idle";
  }

  async seal() {}

  spend() {}
}
