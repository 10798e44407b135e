// Owns baskets: the key in front, the payload, its byte order, and the checks that tie them to the branch.
// A basket is a TKey (big-endian: bytes u32, version u16, object bytes u32, date u32, key bytes u16, ...), at whose end
// stand the number of entries (i32 at key bytes - 9), where the payload ends (i32 at - 5, counting the key) and a flag.
// After the payload, branches with lists or strings have a count and the offset of each entry, counting the key.
import { type Dtype, dtypeBytes, type Values, viewAs } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { unpackObject } from './blocks.ts';
import type { BasketData } from './layout.ts';

const KEY_BYTES_MIN = 33;

/** The payload of a basket as it is in the file, and where its entries start. Errors: source/damaged. */
export function decodeBasket(raw: Uint8Array, entries: number): BasketData {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (raw.length < KEY_BYTES_MIN || view.getUint32(0) !== raw.length) throw damaged('no basket is where one should be');
  const objectBytes = view.getUint32(6);
  const keyBytes = view.getUint16(14);
  if (keyBytes < KEY_BYTES_MIN || keyBytes > raw.length) throw damaged('its key has an impossible size');
  const held = view.getInt32(keyBytes - 9);
  if (held !== entries) throw damaged(`it holds ${held} entries, the tree says ${entries}`);
  const payloadBytes = view.getInt32(keyBytes - 5) - keyBytes;
  if (payloadBytes < 0 || payloadBytes > objectBytes) throw damaged('its payload has an impossible size');
  const object = unpackObject(raw.subarray(keyBytes), objectBytes);
  const payload = object.subarray(0, payloadBytes);
  const offsetsEnd = payloadBytes + 4 + 4 * entries;
  if (objectBytes < offsetsEnd) return { payload, keyBytes };
  return { payload, entryOffsets: object.subarray(payloadBytes + 4, offsetsEnd), keyBytes };
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
 * other events. `starts` are item positions, of which `starts[first]` belongs to the basket's first entry.
 */
export function checkEntryOffsets(basket: BasketData, starts: Float64Array, first: number, itemBytes: number): void {
  const { entryOffsets, keyBytes } = basket;
  if (!entryOffsets) return;
  const entries = entryOffsets.length >> 2;
  const view = new DataView(entryOffsets.buffer, entryOffsets.byteOffset, entryOffsets.byteLength);
  const shift = keyBytes - starts[first]! * itemBytes;
  for (let i = 0; i < entries; i++) {
    if (view.getInt32(4 * i) !== starts[first + i]! * itemBytes + shift) {
      throw damaged(`entry ${i} of it starts elsewhere than its counter says`);
    }
  }
}

/** Any integer counter as numbers; what passes 2^53 is caught by the caller's sum. */
export function countsOf(values: Values): ArrayLike<number> {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) return Float64Array.from(values, Number);
  return values;
}

export const valuesOf = (dtype: Dtype, bytes: Uint8Array): Values =>
  viewAs(dtype, bytes.buffer, bytes.byteOffset, bytes.byteLength / dtypeBytes(dtype));

export function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
