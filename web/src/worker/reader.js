// @ts-check
// A file read once, from its first byte to its last: each byte is hashed, and those that are asked for are handed out.

const SLICE_BYTES = 1 << 20; // Of what is only hashed: little memory, and a sign of life often enough on a slow disk.

export class Reader {
  #file;
  #hasher;
  #told;
  #at = 0;
  /** @type {Promise<string> | undefined} */
  #sum;

  /**
   * @param {File} file
   * @param {any} hasher Python's `FileDigest`: crypto.subtle would want the whole file at once
   * @param {(share: number) => void} told how much is read, after each piece; may throw to end the reading
   */
  constructor(file, hasher, told) {
    this.#file = file;
    this.#hasher = hasher;
    this.#told = told;
  }

  /**
   * @param {number} start not before the end of what was read last
   * @param {number} end
   * @returns {Promise<Uint8Array>} fewer bytes where the file ends before
   */
  async read(start, end) {
    await this.#skip(start);
    return this.#next(end);
  }

  /** @returns {Promise<string>} hex SHA-256 of the whole file, the rest of which is read now; nothing can be read after it */
  digest() {
    this.#sum ??= this.#skip(this.#file.size).then(() => this.#hasher.hexdigest());
    return this.#sum;
  }

  close() {
    this.#hasher.destroy();
  }

  /** @param {number} end */
  async #skip(end) {
    while (this.#at < end) await this.#next(Math.min(end, this.#at + SLICE_BYTES));
  }

  /** @param {number} end */
  async #next(end) {
    const bytes = new Uint8Array(await this.#file.slice(this.#at, end).arrayBuffer());
    this.#hasher.update(bytes);
    this.#at = end;
    this.#told(Math.min(1, end / this.#file.size));
    return bytes;
  }
}
