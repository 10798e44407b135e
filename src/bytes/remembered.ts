// Owns what was read of remote objects and will be read again by other threads: keys are, once to match them, once to prove them.
import type { ByteRange } from './types.ts';

/** By URI, then by place: copies in memory that threads share. */
export type Remembered = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;

/** Keys of a hundred million events have so many bytes; what does not fit travels twice. */
export const REMEMBERED_BYTES_MAX = 64 * 2 ** 20;

let reads: Map<string, Map<string, Uint8Array>> = new Map();
let bytes = 0;
let listening = false;

export const placeOf = ({ offset, length }: ByteRange): string => `${offset}:${length}`;

/** What `work` reads of remote objects is kept; what was kept before is given up. */
export async function rememberReads<T>(work: () => Promise<T>): Promise<T> {
  reads = new Map();
  bytes = 0;
  listening = true;
  try {
    return await work();
  } finally {
    listening = false;
  }
}

export function remember(uri: string, range: ByteRange, read: Uint8Array): void {
  if (!listening || bytes + read.length > REMEMBERED_BYTES_MAX) return;
  const own = reads.get(uri) ?? new Map<string, Uint8Array>();
  const place = placeOf(range);
  if (own.has(place)) return;
  const copy = new Uint8Array(new SharedArrayBuffer(read.length));
  copy.set(read);
  own.set(place, copy);
  reads.set(uri, own);
  bytes += read.length;
}

/** A copy, as decoders do not take shared memory. */
export function recall(uri: string, range: ByteRange): Uint8Array | undefined {
  const shared = reads.get(uri)?.get(placeOf(range));
  return shared && Uint8Array.from(shared);
}

export function isRemembered(uri: string, range: ByteRange): boolean {
  return reads.get(uri)?.has(placeOf(range)) ?? false;
}

/** To be posted to another thread, which then recalls the same. */
export function rememberedReads(): Remembered | undefined {
  return reads.size === 0 ? undefined : reads;
}

export function installReads(other: Remembered | undefined): void {
  reads = new Map([...(other ?? [])].map(([uri, own]) => [uri, new Map(own)]));
}
