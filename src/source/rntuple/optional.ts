// Owns columns of values that can miss: the file stores only those that are there.
import { type Column, flatColumn } from '../../core/column.ts';
import { allocate, type Bits, bitsOf } from '../../core/dtype.ts';
import { damaged } from './cursor.ts';

/** `dense` has the rows that are there; row i is there where offsets[i + 1] is one more than offsets[i]. */
export function spread(dense: Column, offsets: Int32Array, length: number): Column {
  const valid = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const count = offsets[i + 1]! - offsets[i]!;
    if (count > 1) throw damaged(`an optional value is there ${count} times`);
    valid[i] = count;
  }
  if (dense.length === length) return dense;
  if (dense.kind !== 'flat') {
    const spreadOffsets = new Int32Array(length + 1);
    for (let i = 1; i <= length; i++) spreadOffsets[i] = dense.offsets[offsets[i]!]!;
    return { ...dense, length, offsets: spreadOffsets, valid };
  }
  const values = allocate(dense.dtype, length);
  copyPresent(bitsOf(dense.values), bitsOf(values), valid);
  return flatColumn(dense.dtype, values, valid);
}

/** Of one kind of array at run time; typed as one of them, since a loop over all would be slow to check. */
function copyPresent(from: Bits, to: Bits, valid: Uint8Array): void {
  const [source, target] = [from as Uint32Array, to as Uint32Array];
  let next = 0;
  for (let i = 0; i < valid.length; i++) if (valid[i] === 1) target[i] = source[next++]!;
}
