// @ts-check
// Notes of an MP4 that lie behind its sound: recorders write the tables last, and what programs note goes with them.

const HEADER_BYTES = 16;
const MOST_BYTES = 1 << 20;
const MOST_BOXES = 200;
const NO_NOTES = ["mdat", "free", "skip", "wide", "trak"];

/**
 * @param {File} file
 * @param {number} from where what is known already ends
 * @returns {Promise<Uint8Array>} the boxes that go on behind that, one after the other, those inside `moov` singly; without
 *   sound, tables and what is more than a megabyte
 */
export async function laterNotes(file, from) {
  /** @type {Uint8Array[]} */
  const found = [];
  const end = file.size;
  let [at, left] = [0, MOST_BYTES];
  for (let boxes = 0; boxes < MOST_BOXES && at + 8 <= end; boxes += 1) {
    const head = new DataView(await file.slice(at, at + HEADER_BYTES).arrayBuffer());
    const name = String.fromCharCode(head.getUint8(4), head.getUint8(5), head.getUint8(6), head.getUint8(7));
    const stated = head.getUint32(0);
    const length = stated === 1 && head.byteLength === HEADER_BYTES ? Number(head.getBigUint64(8)) : stated || end - at;
    if (length < (stated === 1 ? HEADER_BYTES : 8)) break;
    if (!NO_NOTES.includes(name) && name !== "moov" && at + length > from && length <= left) {
      found.push(new Uint8Array(await file.slice(at, at + length).arrayBuffer()));
      left -= length;
    }
    at += name === "moov" ? (stated === 1 ? HEADER_BYTES : 8) : length; // What is inside follows its header.
  }
  return new Uint8Array(await new Blob(/** @type {BlobPart[]} */ (found)).arrayBuffer());
}
