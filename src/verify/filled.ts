// Owns the rows of events that a source has not, in a file that was joined with --missing fill: they hold the value, or an empty list.
import type { Column } from '../core/column.ts';
import { allocate, type Values } from '../core/dtype.ts';
import type { Receipt } from '../core/receipt.ts';

/** What the receipt says is put in; undefined = nulls are. */
export function fillOf(receipt: Receipt | undefined): number | undefined {
  const [, text] = /^fill=(.*)$/.exec(String(receipt?.policies.missing ?? '')) ?? [];
  if (text === undefined) return undefined;
  return text === 'true' ? 1 : text === 'false' ? 0 : Number(text);
}

/** Rows without an event (`rows` is negative there) that do not hold `fill`; undefined = that are not null. */
export function wrongWhereAbsent(column: Column, rows: Int32Array, fill: number | undefined): number[] {
  const holds = fill === undefined ? undefined : filledWith(column, fill);
  const wrong: number[] = [];
  for (let i = 0; i < rows.length; i++) {
    if (rows[i]! >= 0) continue;
    const present = column.valid?.[i] !== 0;
    if (holds === undefined ? present : !present || !holds(i)) wrong.push(i);
  }
  return wrong;
}

function filledWith(column: Column, fill: number): (row: number) => boolean {
  if (column.kind !== 'flat') return (row) => column.offsets[row] === column.offsets[row + 1];
  const { dtype, values } = column;
  const one: Values = allocate(dtype, 1);
  one[0] = typeof one[0] === 'bigint' ? BigInt(fill) : dtype === 'bool' ? Number(fill !== 0) : fill;
  const [wanted] = one; // as the column's type holds it
  return (row) => Object.is(values[row], wanted);
}
