// Owns sharing: list columns with the same lengths get one `offsets` object, so that later work is done once a collection.
import type { Column } from '../../core/column.ts';
import { bytesOf } from '../../core/dtype.ts';

/** The columns, where equal offsets are one object; nested ones too. */
export function shareOffsets(columns: readonly Column[]): Column[] {
  const known = new Map<string, Int32Array[]>();
  return columns.map((column) => shared(column, known));
}

function shared(column: Column, known: Map<string, Int32Array[]>): Column {
  if (column.kind !== 'list') return column;
  const items = shared(column.items, known);
  const offsets = firstEqual(column.offsets, known);
  return items === column.items && offsets === column.offsets ? column : { ...column, offsets, items };
}

function firstEqual(offsets: Int32Array, known: Map<string, Int32Array[]>): Int32Array {
  const { length } = offsets;
  const key = `${length} ${offsets[length - 1]} ${offsets[length >> 1]} ${offsets[length >> 2]}`;
  const others = known.get(key);
  if (others === undefined) {
    known.set(key, [offsets]);
    return offsets;
  }
  const bytes = bytesOf(offsets);
  const found = others.find((other) => other === offsets || Buffer.compare(bytesOf(other), bytes) === 0);
  if (found === undefined) others.push(offsets);
  return found ?? offsets;
}
