// Decodes what equal_liblzma.py makes. In: frames of kind (0 xz, 1 LZMA2), bytes it becomes, bytes it has (u32, little-endian), data.
// Out: a frame each: 1 and the bytes, or 0 and the error's code (255 and its text, if it has none).
import { readFileSync } from 'node:fs';
import { decompressXz } from '../../src/codec/lzma.ts';
import { decodeLzma2 } from '../../src/codec/lzma2.ts';

/** In an xz stream an index follows: the decoder of chunks may count on some bytes. */
const AFTER = Buffer.alloc(8);

function decode(kind, data, size) {
  if (kind === 0) return decompressXz(data, size);
  const target = new Uint8Array(size);
  decodeLzma2(Buffer.concat([data, AFTER]), 0, target);
  return target;
}

function frame(kind, data, size) {
  const [status, bytes] = (() => {
    try {
      return [1, decode(kind, data, size)];
    } catch (error) {
      return [error.code?.startsWith('source/') ? 0 : 255, Buffer.from(error.code ?? String(error))];
    }
  })();
  const head = Buffer.alloc(5);
  head[0] = status;
  head.writeUInt32LE(bytes.length, 1);
  return [head, bytes];
}

const input = readFileSync(0);
const output = [];
for (let at = 0; at < input.length; ) {
  const from = at + 9;
  at = from + input.readUInt32LE(at + 5);
  output.push(...frame(input[from - 9], input.subarray(from, at), input.readUInt32LE(from - 8)));
}
process.stdout.write(Buffer.concat(output));
