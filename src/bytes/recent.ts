// Owns what a thread keeps of remote objects that it may read again: metadata, and baskets of a moment ago (counters are read
// again with each batch of the lists that they cut). One bound for all objects, as there may be hundreds.
import type { ByteRange } from './types.ts';

/** Descriptions of trees of some files, and the counters of a row group. */
export const RECENT_BYTES_MAX = 24 * 2 ** 20;

interface Kept extends ByteRange {
  readonly bytes: Uint8Array;
  readonly of: Map<number, Kept>;
}

/** Oldest first, of all objects. */
const all = new Set<Kept>();
let total = 0;

export interface Recent {
  /** Bytes that were kept from that offset on. */
  get(range: ByteRange): Uint8Array | undefined;
  /** Bytes that any one kept range holds whole: for few. */
  find(range: ByteRange): Uint8Array | undefined;
  /** Keeps the array, which must stay as it is. */
  put(range: ByteRange, bytes: Uint8Array): void;
  clear(): void;
}

/** Of one object. */
export function makeRecent(): Recent {
  const own = new Map<number, Kept>();
  const holds = (each: Kept, { offset, length }: ByteRange) =>
    each.offset <= offset && offset + length <= each.offset + each.length;
  const cut = (each: Kept | undefined, { offset, length }: ByteRange) =>
    each?.bytes.subarray(offset - each.offset, offset - each.offset + length);
  return {
    get(range) {
      const there = own.get(range.offset);
      return there !== undefined && holds(there, range) ? cut(there, range) : undefined;
    },
    find: (range) =>
      cut(
        [...own.values()].find((each) => holds(each, range)),
        range,
      ),
    put({ offset, length }, bytes) {
      const before = own.get(offset);
      if (length > RECENT_BYTES_MAX || (before?.length ?? 0) >= length) return;
      if (before !== undefined) drop(before);
      const kept = { offset, length, bytes, of: own };
      own.set(offset, kept);
      all.add(kept);
      total += length;
      for (const oldest of all) {
        if (total <= RECENT_BYTES_MAX) break;
        drop(oldest);
      }
    },
    clear() {
      for (const kept of own.values()) drop(kept);
    },
  };
}

function drop(kept: Kept): void {
  if (!all.delete(kept)) return;
  total -= kept.length;
  kept.of.delete(kept.offset);
}
