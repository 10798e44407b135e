// Owns ROOT's compression blocks: 2 letters, a method byte, two 3-byte little-endian sizes, then data; blocks repeat.
import { decompressLz4Into } from '../../codec/lz4.ts';
import { decompressXzInto } from '../../codec/lzma.ts';
import { xxh64Equals } from '../../codec/xxhash.ts';
import { inflateRaw, inflateZlibInto } from '../../codec/zlib.ts';
import { decompressZstdInto } from '../../codec/zstd.ts';
import { ColweaveError } from '../../core/errors.ts';

const HEADER_BYTES = 9;
const LZ4_CHECKSUM_BYTES = 8;
/** The two letters of each algorithm. */
const ZS = 0x5a53;
const ZL = 0x5a4c;
const L4 = 0x4c34;
const XZ = 0x585a;
const CS = 0x4353;

/** The `size` bytes of an object as stored in a file, which may be a view of `stored`. */
export function unpackObject(stored: Uint8Array, size: number): Uint8Array {
  if (stored.length >= size) return stored.subarray(0, size);
  checkSizes(stored, size);
  const object = Buffer.allocUnsafeSlow(size);
  unpackBlocks(stored, object);
  return object;
}

/**
 * Fills `target` from `at` with the `size` bytes of an object. `stored` as long as the object (or longer) is not
 * compressed. Blocks of one object may differ in algorithm.
 */
export function unpackObjectInto(stored: Uint8Array, size: number, target: Uint8Array, at: number): void {
  if (stored.length >= size) {
    target.set(stored.subarray(0, size), at);
    return;
  }
  checkSizes(stored, size);
  unpackBlocks(stored, target.subarray(at, at + size));
}

/** All of an object whose sizes were checked. */
function unpackBlocks(stored: Uint8Array, target: Uint8Array): void {
  const size = target.length;
  for (let at = 0, block = 0; at < size; ) {
    const bytes = blockSize(stored, block + 6);
    unpackBlock(stored, block, bytes === size ? target : target.subarray(at, at + bytes));
    at += bytes;
    block += HEADER_BYTES + blockSize(stored, block + 3);
  }
}

/** Before anything of an object's size is allocated: a size that the blocks do not have is source/damaged. */
export function checkObject(stored: Uint8Array, size: number): void {
  if (stored.length < size) checkSizes(stored, size);
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

/** Fills `target`, which is as long as the block says. */
function unpackBlock(stored: Uint8Array, from: number, target: Uint8Array): void {
  const start = from + HEADER_BYTES;
  const data = stored.subarray(start, start + blockSize(stored, from + 3));
  switch ((stored[from]! << 8) | stored[from + 1]!) {
    case ZS:
      decompressZstdInto(data, target);
      return;
    case L4:
      unpackLz4(data, target);
      return;
    case ZL:
      inflateZlibInto(data, target);
      return;
    case XZ:
      decompressXzInto(data, target);
      return;
    case CS:
      target.set(inflateRaw(data, target.length));
      return;
    default: {
      const letters = String.fromCharCode(stored[from]!, stored[from + 1]!);
      throw damaged(`a block starts with ${JSON.stringify(letters)}, none of ZS, ZL, L4, XZ, CS`);
    }
  }
}

/** An xxh64 of the compressed data, big-endian, then a bare LZ4 block. */
function unpackLz4(data: Uint8Array, target: Uint8Array): void {
  if (data.length < LZ4_CHECKSUM_BYTES) throw damaged('an LZ4 block is too short');
  const block = data.subarray(LZ4_CHECKSUM_BYTES);
  if (!xxh64Equals(block, data)) throw damaged('an LZ4 block does not match its checksum');
  decompressLz4Into(block, target);
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `compressed data are damaged: ${what}`);
}
