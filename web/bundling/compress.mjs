// Writes brotli siblings: node compress.mjs '[["path", "path.br"], ...]'
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const compress = promisify(brotliCompress);

async function pack([source, target]) {
  const bytes = await readFile(source);
  const packed = await compress(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  await writeFile(target, packed);
  console.log(`${source} ${bytes.length} ${packed.length}`);
}

// The largest first, as many at a time as there are processors: each takes one of Node's own threads.
const waiting = JSON.parse(process.argv[2] ?? "[]");
async function work() {
  for (let pair = waiting.shift(); pair; pair = waiting.shift()) await pack(pair);
}
await Promise.all(Array.from({ length: availableParallelism() }, work));
