// Owns strings of TLeafC: a length byte (255: then an i32) and the bytes, one an entry.
import type { Utf8Column } from '../../core/column.ts';
import { damaged } from './baskets.ts';
import type { BasketData } from './layout.ts';

const LONG_STRING = 255;

/** Rows of one basket, in row order. */
export interface StringPart {
  readonly rowStart: number;
  /** Length of each row. */
  readonly lengths: Int32Array;
  /** All rows' bytes, one after the other. */
  readonly bytes: Uint8Array;
}

/** Entries from .. to (exclusive) of a basket of `entries`. */
export function decodeStrings(
  basket: BasketData,
  entries: number,
  from: number,
  to: number,
): Omit<StringPart, 'rowStart'> {
  const { payload } = basket;
  const bytes = new Uint8Array(payload.length);
  const lengths = new Int32Array(to - from);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  let at = 0;
  let filled = 0;
  for (let entry = 0; entry < entries; entry++) {
    if (isAbsent(basket, entry, entries)) continue;
    if (at >= payload.length) throw damaged('its strings are longer than it');
    let length = payload[at++]!;
    if (length === LONG_STRING) {
      if (at + 4 > payload.length) throw damaged('its strings are longer than it');
      length = view.getInt32(at);
      at += 4;
    }
    if (length < 0 || at + length > payload.length) throw damaged('its strings are longer than it');
    if (entry >= from && entry < to) {
      bytes.set(payload.subarray(at, at + length), filled);
      lengths[entry - from] = length;
      filled += length;
    }
    at += length;
  }
  if (at !== payload.length) throw damaged('its strings are shorter than it');
  return { lengths, bytes: bytes.subarray(0, filled) };
}

/** ROOT writes no length byte for an empty string: only the entry offsets tell. */
function isAbsent({ entryOffsets, keyBytes, payload }: BasketData, entry: number, entries: number): boolean {
  if (!entryOffsets) return false;
  const view = new DataView(entryOffsets.buffer, entryOffsets.byteOffset, entryOffsets.byteLength);
  const end = entry + 1 < entries ? view.getInt32(4 * (entry + 1)) : keyBytes + payload.length;
  return view.getInt32(4 * entry) === end;
}

export function joinStrings(parts: StringPart[], rows: number): Utf8Column {
  parts.sort((left, right) => left.rowStart - right.rowStart);
  const offsets = new Int32Array(rows + 1);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.bytes.length, 0));
  let row = 0;
  let at = 0;
  for (const part of parts) {
    bytes.set(part.bytes, at);
    for (const length of part.lengths) {
      at += length;
      offsets[++row] = at;
    }
  }
  return { kind: 'utf8', length: rows, offsets, bytes };
}
