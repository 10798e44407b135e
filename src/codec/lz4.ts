// Owns the LZ4 block format (no frame, size known): https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
import { ColweaveError } from '../core/errors.ts';

/** From this length on, a native copy is faster than a loop. */
const NATIVE_COPY_BYTES = 32;
const MATCH_BYTES_MIN = 4;
const LENGTH_MORE = 15;

/** The `size` bytes of one block; every read and write is checked, since a block may be damaged. */
export function decompressLz4Block(source: Uint8Array, size: number): Uint8Array {
  const target = new Uint8Array(size);
  decompressLz4Into(source, target);
  return target;
}

/** Fills `target` with one block; any other number of bytes is source/damaged. */
export function decompressLz4Into(source: Uint8Array, target: Uint8Array): void {
  const size = target.length;
  const sourceEnd = source.length;
  let from = 0;
  let at = 0;
  while (from < sourceEnd) {
    const token = source[from++]!;
    let literals = token >> 4;
    if (literals === LENGTH_MORE) {
      let more: number;
      do {
        if (from >= sourceEnd) throw damaged('a length');
        more = source[from++]!;
        literals += more;
      } while (more === 255);
    }
    const literalsEnd = from + literals;
    if (literalsEnd > sourceEnd || at + literals > size) throw damaged('literals');
    if (literals > NATIVE_COPY_BYTES) {
      target.set(source.subarray(from, literalsEnd), at);
      from = literalsEnd;
      at += literals;
    } else {
      while (from < literalsEnd) target[at++] = source[from++]!;
    }
    if (from === sourceEnd) break; // the last sequence has literals only

    if (from + 2 > sourceEnd) throw damaged('an offset');
    const distance = source[from]! | (source[from + 1]! << 8);
    from += 2;
    let match = token & 15;
    if (match === LENGTH_MORE) {
      let more: number;
      do {
        if (from >= sourceEnd) throw damaged('a length');
        more = source[from++]!;
        match += more;
      } while (more === 255);
    }
    match += MATCH_BYTES_MIN;
    if (distance === 0 || distance > at || at + match > size) throw damaged('a match');
    if (distance >= match && match > NATIVE_COPY_BYTES) {
      target.copyWithin(at, at - distance, at - distance + match);
      at += match;
    } else {
      const matchEnd = at + match;
      for (let back = at - distance; at < matchEnd; ) target[at++] = target[back++]!;
    }
  }
  if (at !== size) throw new ColweaveError('source/damaged', `an LZ4 block holds ${at} bytes, expected ${size}`);
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `an LZ4 block has ${what} that leads out of the block`);
}
