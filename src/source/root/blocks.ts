// Owns ROOT's compression blocks: 2 letters, a method byte, two 3-byte little-endian sizes, then data; blocks repeat.
import { decompressLz4Block } from '../../codec/lz4.ts';
import { decompressXz } from '../../codec/lzma.ts';
import { xxh64Equals } from '../../codec/xxhash.ts';
import { inflateRaw, inflateZlib } from '../../codec/zlib.ts';
import { decompressZstd } from '../../codec/zstd.ts';
import { ColweaveError } from '../../core/errors.ts';

const HEADER_BYTES = 9;
const LZ4_CHECKSUM_BYTES = 8;

/**
 * The `size` bytes of an object as stored in a file. `stored` as long as the object (or longer) is not compressed.
 * Blocks of one object may differ in algorithm. The result may be a view of `stored`.
 */
export function unpackObject(stored: Uint8Array, size: number): Uint8Array {
  if (stored.length >= size) return stored.subarray(0, size);
  checkSizes(stored, size);
  if (blockSize(stored, 6) === size) return unpackBlock(stored, 0);
  const object = Buffer.allocUnsafe(size);
  let from = 0;
  for (let at = 0; at < size; ) {
    const bytes = unpackBlock(stored, from);
    object.set(bytes, at);
    at += bytes.length;
    from += HEADER_BYTES + blockSize(stored, from + 3);
  }
  return object;
}

/** Walks the headers before anything is allocated: a damaged size must not cost memory. */
function checkSizes(stored: Uint8Array, size: number): void {
  let from = 0;
  let total = 0;
  while (total < size) {
    if (from + HEADER_BYTES > stored.length) throw damaged(`blocks end after ${total} of ${size} bytes`);
    const end = from + HEADER_BYTES + blockSize(stored, from + 3);
    if (end > stored.length) throw damaged('a block is longer than its basket');
    const bytes = blockSize(stored, from + 6);
    if (bytes === 0) throw damaged('a block is empty');
    total += bytes;
    from = end;
  }
  if (total !== size) throw damaged(`blocks hold ${total} bytes, expected ${size}`);
}

function blockSize(stored: Uint8Array, at: number): number {
  return stored[at]! | (stored[at + 1]! << 8) | (stored[at + 2]! << 16);
}

function unpackBlock(stored: Uint8Array, from: number): Uint8Array {
  const size = blockSize(stored, from + 6);
  const start = from + HEADER_BYTES;
  const data = stored.subarray(start, start + blockSize(stored, from + 3));
  const letters = String.fromCharCode(stored[from]!, stored[from + 1]!);
  switch (letters) {
    case 'ZS':
      return decompressZstd(data, size);
    case 'ZL':
      return inflateZlib(data, size);
    case 'L4':
      return unpackLz4(data, size);
    case 'XZ':
      return decompressXz(data, size);
    case 'CS':
      return inflateRaw(data, size);
    default:
      throw damaged(`a block starts with ${JSON.stringify(letters)}, none of ZS, ZL, L4, XZ, CS`);
  }
}

/** An xxh64 of the compressed data, big-endian, then a bare LZ4 block. */
function unpackLz4(data: Uint8Array, size: number): Uint8Array {
  if (data.length < LZ4_CHECKSUM_BYTES) throw damaged('an LZ4 block is too short');
  const block = data.subarray(LZ4_CHECKSUM_BYTES);
  if (!xxh64Equals(block, data)) throw damaged('an LZ4 block does not match its checksum');
  return decompressLz4Block(block, size);
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `compressed data are damaged: ${what}`);
}
