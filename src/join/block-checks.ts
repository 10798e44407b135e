// Owns what is checked while a row group is made: list lengths against counters, and no null in nano layout.
import type { Column, FlatColumn, ListColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { type KeyTable, keyText } from '../core/key-spec.ts';
import type { Field } from '../core/schema.ts';
import { locateRow } from '../source/dataset.ts';
import type { SourceView } from './block-view.ts';
import type { JoinPlan } from './plan.ts';

/** Nano layout has no nulls: coffea would read them as garbage. Errors: join/null-in-nano with the first event. */
export function refuseNulls(fields: readonly Field[], columns: readonly Column[], keys: KeyTable): void {
  columns.forEach((column, k) => {
    const row = column.valid?.indexOf(0) ?? -1;
    if (row < 0) return;
    const { name } = fields[k]!;
    throw new ColweaveError('join/null-in-nano', `column "${name}" has no value for an event`, {
      details: [`the first one: ${keyText(keys, row)}`],
    });
  });
}

/**
 * Lists are written with REQUIRED elements (join and coffea alike read those right), so a null inside a list is refused.
 * Gives the column without the validity of items, which says nothing then. Errors: source/unreadable-column.
 */
export function requireItems(name: string, column: Column, keys: KeyTable): Column {
  return column.kind === 'list' ? requiredList(name, column, (row) => keyText(keys, row)) : column;
}

function requiredList(name: string, column: ListColumn, eventOf: (row: number) => string): ListColumn {
  const rowOf = (item: number) => column.offsets.findIndex((end) => end > item) - 1;
  const bad = column.items.valid?.indexOf(0) ?? -1;
  if (bad >= 0) {
    throw new ColweaveError('source/unreadable-column', `list column "${name}" holds a null inside a list`, {
      details: [`the first one: ${eventOf(rowOf(bad))}`],
    });
  }
  const items =
    column.items.kind === 'list' ? requiredList(name, column.items, (row) => eventOf(rowOf(row))) : column.items;
  return items.valid === undefined && items === column.items
    ? column
    : { ...column, items: { ...items, valid: undefined } };
}

export interface LengthInputs {
  readonly plan: JoinPlan;
  readonly s: number;
  readonly view: SourceView;
  /** Columns of the source before the move, by name. */
  readonly before: ReadonlyMap<string, Column>;
  /** Columns of the source after the move, by name; a check whose list is not here is for another batch. */
  readonly after: ReadonlyMap<string, Column>;
  /** The primary's counters of the output rows. */
  readonly counters: ReadonlyMap<string, Column>;
  readonly keys: KeyTable;
}

/**
 * Lists and counters that must agree: inside a source before the move, against the primary's counter after it.
 * Errors: join/counter-differs, join/list-length with the first event.
 */
export function checkLengths({ plan, s, view, before, after, counters, keys }: LengthInputs): void {
  for (const check of plan.checks) {
    const column = after.get(check.list);
    if (check.source !== s || column === undefined) continue;
    if (check.counterSource === s) {
      const bad = firstUnequal(before.get(check.list)!, before.get(check.counter) as FlatColumn);
      if (bad === undefined) continue;
      const row = view.source === undefined ? undefined : view.lo + bad.row;
      const place = row === undefined ? undefined : locateRow(plan.sources[s]!.dataset, row);
      throw new ColweaveError(
        'join/counter-differs',
        `list "${check.list}" has ${bad.length} items where ${check.counter} says ${bad.count}`,
        {
          where: place === undefined ? [plan.sources[s]!.label] : [place.uri, `entry ${place.entry}`],
        },
      );
    }
    const bad = firstUnequal(column, counters.get(check.counter) as FlatColumn);
    if (bad === undefined) continue;
    throw new ColweaveError(
      'join/list-length',
      `source "${plan.sources[s]!.label}" has ${bad.length} items in ${check.list} where the primary's ${check.counter} is ${bad.count}`,
      { details: [`the first event: ${keyText(keys, bad.row)}`] },
    );
  }
}

function firstUnequal(
  list: Column,
  counter: FlatColumn,
): { readonly row: number; readonly length: number; readonly count: string } | undefined {
  if (list.kind !== 'list') return undefined;
  const { offsets, valid } = list;
  const counts =
    counter.values.BYTES_PER_ELEMENT === 8
      ? Float64Array.from(counter.values as BigInt64Array, Number)
      : (counter.values as Int32Array);
  for (let row = 0; row < list.length; row++) {
    if (valid?.[row] === 0 || counter.valid?.[row] === 0) continue;
    const length = offsets[row + 1]! - offsets[row]!;
    if (length !== counts[row]) return { row, length, count: String(counter.values[row]) };
  }
  return undefined;
}
