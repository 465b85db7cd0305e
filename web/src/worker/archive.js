// @ts-check
// Members of a zip whose entries are stored, not packed: the build makes such ones, the transfer is compressed.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const HEADER_BYTES = 30;

/**
 * @param {Uint8Array<ArrayBuffer>} zip
 * @returns {Generator<[string, Uint8Array<ArrayBuffer>]>} name and content of each file, in the order of the directory; the
 *   contents are views of `zip`
 * @throws {Error} when an entry is packed, or the archive has a comment
 */
export function* members(zip) {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const end = zip.length - END_BYTES;
  if (view.getUint32(end, true) !== END) throw new Error("not a plain zip");
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    const [packed, size] = [view.getUint16(at + 10, true), view.getUint32(at + 24, true)];
    if (view.getUint32(at, true) !== ENTRY || packed) throw new Error("not a plain zip");
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(zip.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    const header = view.getUint32(at + 42, true);
    const start = header + HEADER_BYTES + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    if (!name.endsWith("/")) yield [name, zip.subarray(start, start + size)];
    at += ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
}
