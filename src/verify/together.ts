// Owns looking at several columns at once where rows lie in any order: their words come from memory together, not one after the other.
import type { Column, FlatColumn, ListColumn } from '../core/column.ts';
import { wordsOf } from '../core/dtype.ts';
import type { Compared, Pairs } from './differing.ts';

/** Columns looked at in one loop. */
const TOGETHER = 4;

/** Words of both sides of a column: of flat values, or of the items of lists. */
interface Words {
  readonly a: Uint32Array;
  readonly b: Uint32Array;
}

/** Columns of 32-bit values without nulls that are the same in all pairs. What is not among them may be the same too. */
export function equalTogether(columns: readonly Compared[], pairs: Pairs): ReadonlySet<Compared> {
  const same = new Set<Compared>();
  const look = (group: readonly Compared[], items: boolean, differ: (words: readonly Words[]) => boolean) => {
    for (let i = 0; i < group.length; i += TOGETHER) {
      const some = group.slice(i, i + TOGETHER);
      if (some.length === 1) continue;
      const words = some.map(({ left, right }) => (items ? itemWords(left, right) : flatWords(left, right)));
      while (words.length < TOGETHER) words.push(words[0]!);
      if (!differ(words)) for (const column of some) same.add(column);
    }
  };
  look(columns.filter(isFlat), false, (words) => flatsDiffer(words, pairs));
  for (const group of collections(columns.filter(isList))) {
    const [{ left, right }] = group as [Compared];
    const lists = { a: (left as ListColumn).offsets, b: (right as ListColumn).offsets };
    look(group, true, (words) => listsDiffer(words, lists, pairs));
  }
  return same;
}

const isWords = (column: Column): boolean =>
  column.kind === 'flat' && column.valid === undefined && column.values.BYTES_PER_ELEMENT === 4;

function isFlat({ left, right }: Compared): boolean {
  return isWords(left) && isWords(right);
}

function isList({ left, right }: Compared): boolean {
  return [left, right].every((side) => side.kind === 'list' && side.valid === undefined && isWords(side.items));
}

const flatWords = (left: Column, right: Column): Words => {
  return { a: wordsOf((left as FlatColumn).values), b: wordsOf((right as FlatColumn).values) };
};

const itemWords = (left: Column, right: Column): Words =>
  flatWords((left as ListColumn).items, (right as ListColumn).items);

/** Lists with the same offsets on both sides. */
function collections(lists: readonly Compared[]): Compared[][] {
  const groups: Compared[][] = [];
  const offsets = ({ left, right }: Compared) => [(left as ListColumn).offsets, (right as ListColumn).offsets];
  for (const column of lists) {
    const [a, b] = offsets(column);
    const group = groups.find(([first]) => {
      const [ofA, ofB] = offsets(first!);
      return ofA === a && ofB === b;
    });
    if (group === undefined) groups.push([column]);
    else group.push(column);
  }
  return groups;
}

function flatsDiffer(words: readonly Words[], { left, right }: Pairs): boolean {
  const [{ a: a0, b: b0 }, { a: a1, b: b1 }, { a: a2, b: b2 }, { a: a3, b: b3 }] = words as [
    Words,
    Words,
    Words,
    Words,
  ];
  let differ = 0;
  for (let k = 0; k < left.length; k++) {
    const i = left[k]!;
    const j = right[k]!;
    differ |= (a0[i]! ^ b0[j]!) | (a1[i]! ^ b1[j]!) | (a2[i]! ^ b2[j]!) | (a3[i]! ^ b3[j]!);
  }
  return differ !== 0;
}

interface Lists {
  readonly a: Int32Array;
  readonly b: Int32Array;
}

function listsDiffer(words: readonly Words[], lists: Lists, { left, right }: Pairs): boolean {
  const [{ a: a0, b: b0 }, { a: a1, b: b1 }, { a: a2, b: b2 }, { a: a3, b: b3 }] = words as [
    Words,
    Words,
    Words,
    Words,
  ];
  let differ = 0;
  for (let k = 0; k < left.length; k++) {
    const i = left[k]!;
    const j = right[k]!;
    let from = lists.a[i]!;
    let other = lists.b[j]!;
    const end = lists.a[i + 1]!;
    if (end - from !== lists.b[j + 1]! - other) return true;
    for (; from < end; from++, other++) {
      differ |=
        (a0[from]! ^ b0[other]!) | (a1[from]! ^ b1[other]!) | (a2[from]! ^ b2[other]!) | (a3[from]! ^ b3[other]!);
    }
  }
  return differ !== 0;
}
