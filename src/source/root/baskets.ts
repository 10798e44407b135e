// Owns baskets: the key in front, the payload, its byte order, and the checks that tie them to the branch.
// A basket is a TKey (big-endian: bytes u32, version u16, object bytes u32, date u32, key bytes u16, ...), at whose end
// stand the number of entries (i32 at key bytes - 9), where the payload ends (i32 at - 5, counting the key) and a flag.
// After the payload, branches with lists or strings have a count and the offset of each entry, counting the key.
import { type Dtype, dtypeBytes, type Values } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { entriesKernel } from '../../core/kernels.ts';
import { checkObject, unpackObject, unpackObjectInto } from './blocks.ts';
import type { BasketData } from './layout.ts';

const KEY_BYTES_MIN = 33;
/** Baskets are tens of kilobytes, seldom a megabyte; room for a longer one is not kept. */
const SCRATCH_BYTES_MAX = 2 * 1024 * 1024;

/** What the key says, checked against the tree. The payload is followed by entry offsets where there is room for them. */
export interface BasketHead {
  readonly keyBytes: number;
  readonly objectBytes: number;
  readonly payloadBytes: number;
  readonly hasEntryOffsets: boolean;
}

/** Errors: source/damaged. */
export function readBasketHead(raw: Uint8Array, entries: number): BasketHead {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (raw.length < KEY_BYTES_MIN || view.getUint32(0) !== raw.length) throw damaged('no basket is where one should be');
  const objectBytes = view.getUint32(6);
  const keyBytes = view.getUint16(14);
  if (keyBytes < KEY_BYTES_MIN || keyBytes > raw.length) throw damaged('its key has an impossible size');
  const held = view.getInt32(keyBytes - 9);
  if (held !== entries) throw damaged(`it holds ${held} entries, the tree says ${entries}`);
  const payloadBytes = view.getInt32(keyBytes - 5) - keyBytes;
  if (payloadBytes < 0 || payloadBytes > objectBytes) throw damaged('its payload has an impossible size');
  const hasEntryOffsets = objectBytes >= payloadBytes + 4 + 4 * entries;
  return { keyBytes, objectBytes, payloadBytes, hasEntryOffsets };
}

/** The payload of a basket as it is in the file, and where its entries start. Errors: source/damaged. */
export function decodeBasket(raw: Uint8Array, entries: number): BasketData {
  const { keyBytes, objectBytes, payloadBytes, hasEntryOffsets } = readBasketHead(raw, entries);
  const object = unpackObject(raw.subarray(keyBytes), objectBytes);
  const payload = object.subarray(0, payloadBytes);
  if (!hasEntryOffsets) return { payload, keyBytes };
  return { payload, entryOffsets: object.subarray(payloadBytes + 4, payloadBytes + 4 + 4 * entries), keyBytes };
}

export interface Scratch {
  readonly target: Uint8Array;
  readonly targetView: DataView;
}

let scratch: Scratch = makeScratch(64 * 1024);

function makeScratch(bytes: number): Scratch {
  const buffer = new ArrayBuffer(bytes);
  return { target: new Uint8Array(buffer), targetView: new DataView(buffer) };
}

/** Room for one basket's object, the same for all baskets of a thread: to be emptied before anything else runs. */
export function scratchFor(raw: Uint8Array, head: BasketHead): Scratch {
  const { objectBytes, keyBytes } = head;
  if (objectBytes <= scratch.target.length) return scratch;
  checkObject(raw.subarray(keyBytes), objectBytes);
  const made = makeScratch(objectBytes);
  if (objectBytes <= SCRATCH_BYTES_MAX) scratch = made;
  return made;
}

/** The whole object, payload and what follows, at `at` of `target`. */
export function unpackBasket(raw: Uint8Array, head: BasketHead, target: Uint8Array, at: number): void {
  unpackObjectInto(raw.subarray(head.keyBytes), head.objectBytes, target, at);
}

/** Big-endian values of the file become those of this machine, in place. */
export function swapValues(bytes: Uint8Array, dtype: Dtype): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (dtypeBytes(dtype)) {
    case 1:
      if (dtype === 'bool') makeBools(bytes);
      return;
    case 2:
      buffer.swap16();
      return;
    case 4:
      buffer.swap32();
      return;
    case 8:
      buffer.swap64();
  }
}

/** True is any byte but 0 in a file, and 1 in memory. */
function makeBools(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 1) bytes[i] = 1;
}

/**
 * The counter and the basket must agree on every entry, not only on the sum: a shifted counter would give items to
 * other events. Offsets (i32, big-endian, counting the key) stand in `view` from `at`; `starts` are item positions, of
 * which `starts[first]` belongs to the basket's first entry. The basket's length was checked, so 32 bits are enough.
 */
export function checkEntryOffsets(
  offsets: { readonly view: DataView; readonly at: number; readonly entries: number; readonly keyBytes: number },
  starts: Int32Array,
  first: number,
  itemBytes: number,
): void {
  const { view, at, entries, keyBytes } = offsets;
  const shift = (keyBytes - Math.imul(starts[first]!, itemBytes)) | 0;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, 4 * entries);
  const agreed = entriesKernel(bytes, starts.subarray(first), entries & -4, { itemBytes, shift });
  for (let i = agreed, from = at + 4 * agreed; i < entries; i++, from += 4) {
    if (view.getInt32(from) !== ((Math.imul(starts[first + i]!, itemBytes) + shift) | 0)) {
      throw damaged(`entry ${i} of it starts elsewhere than its counter says`);
    }
  }
}

/** A counter as i32; what does not fit is negative, as no count may be. */
export function countsOf(values: Values): Int32Array {
  if (values instanceof Int32Array) return values;
  if (values instanceof Uint32Array) return new Int32Array(values.buffer, values.byteOffset, values.length);
  return Int32Array.from(values as ArrayLike<number | bigint>, (value) => {
    const count = Number(value);
    return count >= 0 && count <= 2 ** 31 - 1 ? count : -1;
  });
}

export function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
