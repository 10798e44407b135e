// Owns which items each row of a padded tensor takes, and in which order: lists in place, ordered lists, gathered constituents.
import { ColweaveError } from '../core/errors.ts';
import type { Order } from './model.ts';
import type { Numbers } from './numbers.ts';

/** Row r takes the items index[starts[r] .. starts[r + 1]), or those numbers themselves without an index. */
export interface Slots {
  readonly starts: Int32Array;
  readonly index?: Int32Array;
}

/** The items of every row by `values` (by item), the largest first unless ascending; equal ones keep their order, NaN comes last. */
export function ordered({ starts, index }: Slots, values: Numbers, { ascending }: Order): Slots {
  const out = new Int32Array(starts.at(-1)!);
  if (index !== undefined) out.set(index.subarray(0, out.length));
  else for (let i = 0; i < out.length; i++) out[i] = i;
  const sign = ascending ? 1 : -1;
  const compare = (left: number, right: number): number => {
    const a = values[left]!;
    const b = values[right]!;
    if (a === b) return 0;
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a < b ? -sign : sign;
  };
  for (let row = 0; row + 1 < starts.length; row++) {
    const items = out.subarray(starts[row]!, starts[row + 1]!);
    if (!isSorted(items, compare)) items.set(Array.from(items).sort(compare));
  }
  return { starts, index: out };
}

function isSorted(items: Int32Array, compare: (left: number, right: number) => number): boolean {
  for (let i = 1; i < items.length; i++) if (compare(items[i - 1]!, items[i]!) > 0) return false;
  return true;
}

/** Lists of one event each: the pairs, the collection they point into, the objects they belong to. */
export interface Pairs {
  readonly pairs: Int32Array;
  /** Absent: nothing is taken by the index, and it may be anything. */
  readonly from: Int32Array | undefined;
  readonly objects: Int32Array;
  /** By pair: the object within its event; below zero = none. */
  readonly group: Numbers;
  /** By pair: the constituent within its event; below zero = none. */
  readonly index: Numbers;
  readonly names: { readonly index: string; readonly group: string };
}

export interface Gathered {
  /** One row an object, items are pairs. */
  readonly slots: Slots;
  /** By pair: which item of `from` it is, counted over all events. */
  readonly fromOf: Int32Array;
}

/** The pairs of each object in the order in which they are stored. Errors: infer/bad-index. */
export function gathered({ pairs, from, objects, group, index, names }: Pairs): Gathered {
  const starts = new Int32Array(objects.at(-1)! + 1);
  const ownerOf = new Int32Array(group.length).fill(-1);
  const fromOf = new Int32Array(group.length);
  for (let event = 0; event + 1 < pairs.length; event++) {
    const [firstObject, objectEnd] = [objects[event]!, objects[event + 1]!];
    const firstItem = from === undefined ? 0 : from[event]!;
    const itemEnd = from === undefined ? Number.POSITIVE_INFINITY : from[event + 1]!;
    for (let pair = pairs[event]!; pair < pairs[event + 1]!; pair++) {
      if (group[pair]! < 0 || index[pair]! < 0) continue;
      const owner = firstObject + group[pair]!;
      const item = firstItem + index[pair]!;
      if (owner >= objectEnd) throw badIndex(names.group, group[pair]!, objectEnd - firstObject);
      if (item >= itemEnd) throw badIndex(names.index, index[pair]!, itemEnd - firstItem);
      ownerOf[pair] = owner;
      fromOf[pair] = item;
      starts[owner + 1] = starts[owner + 1]! + 1;
    }
  }
  for (let row = 1; row < starts.length; row++) starts[row] = starts[row]! + starts[row - 1]!;
  const places = starts.slice(0, -1);
  const out = new Int32Array(starts.at(-1)!);
  for (let pair = 0; pair < ownerOf.length; pair++) {
    const owner = ownerOf[pair]!;
    if (owner < 0) continue;
    out[places[owner]!] = pair;
    places[owner] = places[owner]! + 1;
  }
  return { slots: { starts, index: out }, fromOf };
}

function badIndex(name: string, value: number, length: number): ColweaveError {
  return new ColweaveError('infer/bad-index', `column "${name}" points at item ${value} of ${length}`, {
    hint: 'the file was skimmed without its constituents, or gather names other collections than its columns do',
  });
}
