// Owns memory that is used again and again: columns of a batch are gone when the next one is read, their bytes need not be.
// Fresh arrays cost more than filling them (pages of the system, zeroing, collection): half of a join's memory traffic.
import { allocate, type Dtype, dtypeBytes, type Values, viewAs } from './dtype.ts';
import { borrowRoom } from './kernels.ts';

/** Makes an array of `length` values. Unlike those of `allocate`, its values are whatever was there: to be filled. */
export type Take = (dtype: Dtype, length: number) => Values;

/**
 * Room for the arrays of one batch. What was taken is valid until it is given back: after that, other columns' values are
 * there. So it serves where all that is made of a batch is used up (encoded, sealed, copied) before the next begins.
 */
export interface Arena {
  /** An array of the arena, or a fresh one when it is full. */
  readonly take: Take;
  /** What has been taken so far stays until `clear`. */
  hold(): void;
  /** What was taken since `hold` is given back. */
  reset(): void;
  /** All is given back. */
  clear(): void;
  /** The arena is not used any more. */
  close(): void;
}

/** For those who keep what they get. */
export const FRESH: Arena = { take: allocate, hold() {}, reset() {}, clear() {}, close() {} };

/** Without the kernels' memory: a batch is bounded by some of this. */
const ROOM_BYTES = 32 * 1024 * 1024;
const ALIGNMENT = 16;
/** What given-back bytes are set to on request of a test: any use of them becomes visible. */
const POISON = 0xa5;

/** In the kernels' memory, if no other arena of this thread is there. */
export function makeArena(poison = false): Arena {
  const borrowed = borrowRoom();
  return arenaIn(borrowed?.bytes ?? new Uint8Array(ROOM_BYTES), poison, () => borrowed?.giveBack());
}

/** In memory of its own, for what needs little. */
export function makeSmallArena(bytes: number): Arena {
  const room = new Uint8Array(bytes);
  return arenaIn(room, false, () => releaseBytes(room));
}

/**
 * Gives back memory that nobody looks at any more: a collection of garbage may be long in coming, and V8 begins one
 * sooner the more there is. What is shared stays, and what was given back.
 */
export function releaseBuffer(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** The same; what is a part of something else stays. */
export function releaseBytes({ buffer, byteLength }: ArrayBufferView): void {
  if (byteLength === buffer.byteLength) releaseBuffer(buffer);
}

function arenaIn({ buffer, byteOffset, length }: Uint8Array, poison: boolean, close: () => void): Arena {
  let at = 0;
  let held = 0;
  const giveBack = (from: number) => {
    if (poison) new Uint8Array(buffer, byteOffset + from, at - from).fill(POISON);
    at = from;
  };
  return {
    take(dtype, count) {
      const bytes = count * dtypeBytes(dtype);
      if (at + bytes > length) return allocate(dtype, count);
      const values = viewAs(dtype, buffer, byteOffset + at, count);
      at = Math.min(length, (at + bytes + ALIGNMENT - 1) & -ALIGNMENT);
      return values;
    },
    hold() {
      held = at;
    },
    reset: () => giveBack(held),
    clear() {
      held = 0;
      giveBack(0);
    },
    close,
  };
}
