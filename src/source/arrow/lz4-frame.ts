// Owns the LZ4 frame format, which Arrow (Feather V2) compresses buffers with: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
import { ColweaveError } from '../../core/errors.ts';

const MAGIC = 0x184d2204;
const END_MARK = 0;
const UNCOMPRESSED_BIT = 0x80000000;
/** LZ4 gives at most 255 bytes for one. */
const EXPANSION_MAX = 255;
const LENGTH_MORE = 15;
const MATCH_BYTES_MIN = 4;

/** One output for all blocks, which may refer to those before. */
interface Output {
  readonly bytes: Uint8Array;
  at: number;
}

/** The `size` bytes of one frame; any other number of bytes is source/damaged. */
export function decompressLz4Frame(source: Uint8Array, size: number): Uint8Array {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (source.length < 11 || view.getUint32(0, true) !== MAGIC) throw damaged('it does not begin as a frame');
  const flags = source[4]!;
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  let at = 6 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0) + 1;
  if (size > source.length * EXPANSION_MAX) throw damaged(`its ${source.length} bytes cannot hold ${size}`);
  const out: Output = { bytes: new Uint8Array(size), at: 0 };
  for (;;) {
    if (at + 4 > source.length) throw damaged('it ends without its end mark');
    const head = view.getUint32(at, true);
    at += 4;
    if (head === END_MARK) break;
    const length = head & ~UNCOMPRESSED_BIT;
    if (length > source.length - at) throw damaged('a block runs over its end');
    const block = source.subarray(at, at + length);
    if ((head & UNCOMPRESSED_BIT) !== 0) {
      reserve(out, length);
      out.bytes.set(block, out.at);
      out.at += length;
    } else decodeBlock(block, out);
    at += length + (hasBlockChecksum ? 4 : 0);
  }
  if (out.at !== size) throw damaged(`it holds ${out.at} bytes, expected ${size}`);
  return out.bytes;
}

function reserve(out: Output, more: number): void {
  if (out.at + more > out.bytes.length) throw damaged('it holds more than its length says');
}

function decodeBlock(block: Uint8Array, out: Output): void {
  let from = 0;
  const takeLength = (start: number): number => {
    let length = start;
    if (start !== LENGTH_MORE) return length;
    for (;;) {
      const more = block[from++];
      if (more === undefined) throw damaged('a length runs over its block');
      length += more;
      if (more < 255) return length;
    }
  };
  while (from < block.length) {
    const token = block[from++]!;
    const literals = takeLength(token >> 4);
    if (literals > block.length - from) throw damaged('literals run over their block');
    reserve(out, literals);
    out.bytes.set(block.subarray(from, from + literals), out.at);
    from += literals;
    out.at += literals;
    if (from === block.length) return; // the last sequence has literals only
    if (block.length - from < 2) throw damaged('an offset runs over its block');
    const distance = block[from]! | (block[from + 1]! << 8);
    from += 2;
    const match = takeLength(token & 15) + MATCH_BYTES_MIN;
    if (distance === 0 || distance > out.at) throw damaged('a match begins before the data');
    reserve(out, match);
    const { bytes, at } = out;
    if (distance >= match) bytes.copyWithin(at, at - distance, at - distance + match);
    else for (let i = 0; i < match; i++) bytes[at + i] = bytes[at + i - distance]!;
    out.at += match;
  }
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `an LZ4 frame cannot be read: ${what}`);
}
