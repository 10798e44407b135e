// Owns what a thread read of remote objects a moment ago: counters are read again with each batch of the lists that they cut.
import type { ByteRange } from './types.ts';

/** A counter's baskets for a row group, and those of a few more. */
const BYTES_MAX = 12 * 2 ** 20;
/** Longer ranges are seldom read twice. */
const RANGE_BYTES_MAX = 128 * 1024;

export interface Recent {
  get(range: ByteRange): Uint8Array | undefined;
  /** Keeps a copy: what was read may lie in room that is used again. */
  put(range: ByteRange, bytes: Uint8Array): void;
}

/** The oldest go first, whether they were read again or not. */
export function makeRecent(): Recent {
  const kept = new Map<number, Uint8Array>();
  let bytes = 0;
  return {
    get({ offset, length }) {
      const found = kept.get(offset);
      return found?.length === length ? found : undefined;
    },
    put({ offset, length }, read) {
      if (length > RANGE_BYTES_MAX || length === 0 || kept.get(offset)?.length === length) return;
      bytes += length - (kept.get(offset)?.length ?? 0);
      kept.set(offset, Uint8Array.from(read));
      for (const [oldest, each] of kept) {
        if (bytes <= BYTES_MAX) break;
        kept.delete(oldest);
        bytes -= each.length;
      }
    },
  };
}
