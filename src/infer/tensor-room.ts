// Owns the memory of tensors: what was answered is used again, since fresh arrays cost more than filling them.
import type { Tensor } from './types.ts';

export interface TensorRoom {
  /** Bytes that may hold anything. */
  take(bytes: number): ArrayBuffer;
  /** The tensors that were sent and answered: their bytes are somebody else's next. */
  giveBack(tensors: readonly Tensor[]): void;
}

/** For those who keep what they get. */
export const FRESH_ROOM: TensorRoom = { take: (bytes) => new ArrayBuffer(bytes), giveBack() {} };

/** Batches are of one size but for the last: what is of another size is not kept. */
export function makeTensorRoom(): TensorRoom {
  const free = new Map<number, ArrayBuffer[]>();
  const taken = new WeakSet<ArrayBufferLike>();
  return {
    take(bytes) {
      const buffer = free.get(bytes)?.pop() ?? new ArrayBuffer(bytes);
      taken.add(buffer);
      return buffer;
    },
    giveBack(tensors) {
      for (const { bytes } of tensors) {
        const { buffer } = bytes;
        // given back twice, it would be two batches at once
        if (!(buffer instanceof ArrayBuffer) || !taken.delete(buffer)) continue;
        const same = free.get(buffer.byteLength) ?? [];
        free.set(buffer.byteLength, same);
        if (same.length < KEPT_MAX) same.push(buffer);
      }
    },
  };
}

/** As many as may be on their way, and a few that are bound meanwhile. */
const KEPT_MAX = 16;
