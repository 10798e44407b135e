// Owns memory that is used again for every page of a thread: fresh arrays of this size are page faults and garbage.

/** Past this, what one large column needed is not kept. */
const KEPT_BYTES_MAX = 8 << 20;

export interface Scratch {
  /** At least so many bytes from the start of their buffer, holding anything; good until the next call. */
  bytes(count: number): Uint8Array;
}

/** One for each use: what it gives out is never kept by a result. */
export function scratchBytes(): Scratch {
  let kept = new Uint8Array(0);
  return {
    bytes(count) {
      if (kept.length >= count) return kept;
      const made = new Uint8Array((count + (count >> 2) + 7) & ~7);
      if (made.length <= KEPT_BYTES_MAX) kept = made;
      return made;
    },
  };
}
