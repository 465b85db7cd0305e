// Writes brotli siblings: node compress.mjs '[["path", "path.br"], ...]'
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const compress = promisify(brotliCompress);

for (const [source, target] of JSON.parse(process.argv[2] ?? "[]")) {
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
