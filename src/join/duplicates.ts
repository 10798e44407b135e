// Owns events that several primary datasets hold: the first dataset keeps them. Twice in one dataset stays an error.
import { ColweaveError } from '../core/errors.ts';
import { keyText } from '../core/key-spec.ts';
import { type KeyStore, keyRange } from '../keys/store.ts';
import { type DatasetDescriptor, locateRow } from '../source/dataset.ts';

/** One primary dataset: the rows of the primary up to rowEnd, from where the one before ends. */
export interface RowGroup {
  readonly label: string;
  readonly rowEnd: number;
}

export interface Overlap {
  readonly kept: string;
  readonly dropped: string;
  readonly rows: number;
}

export interface Repeated {
  /** One byte a row of the primary: 1 = an earlier dataset has the event. */
  readonly flags: Uint8Array;
  readonly count: number;
  /** Per pair of datasets, in their order. */
  readonly overlaps: readonly Overlap[];
}

/** `first`: of each row the first one that has its key. Errors: join/duplicate-key for an event that is twice in one dataset. */
export function repeatedRows(
  { descriptor, keys }: { readonly descriptor: DatasetDescriptor; readonly keys: KeyStore },
  first: Int32Array,
  groups: readonly RowGroup[],
): Repeated {
  const flags = new Uint8Array(keys.rows);
  const lastRow = new Int32Array(keys.rows).fill(-1); // by first row: the last later one with its key
  const counts = groups.map(() => new Array<number>(groups.length).fill(0));
  const groupOf = groupFinder(groups);
  let count = 0;
  let start = 0;
  for (const [g, { rowEnd }] of groups.entries()) {
    for (let row = start; row < rowEnd; row++) {
      const owner = first[row]!;
      if (owner === row) continue;
      const before = lastRow[owner]! >= start ? lastRow[owner]! : owner;
      if (before >= start) throw twiceInOne(descriptor, keys, groups[g]!.label, before, row);
      lastRow[owner] = row;
      flags[row] = 1;
      count++;
      const pair = counts[groupOf(owner)]!;
      pair[g] = pair[g]! + 1;
    }
    start = rowEnd;
  }
  const overlaps = counts.flatMap((row, kept) =>
    row.flatMap((rows, dropped) =>
      rows > 0 ? [{ kept: groups[kept]!.label, dropped: groups[dropped]!.label, rows }] : [],
    ),
  );
  return { flags, count, overlaps };
}

/** A primary has a handful of datasets. */
function groupFinder(groups: readonly RowGroup[]): (row: number) => number {
  return (row) => {
    let g = 0;
    while (row >= groups[g]!.rowEnd) g++;
    return g;
  };
}

function twiceInOne(
  descriptor: DatasetDescriptor,
  keys: KeyStore,
  label: string,
  before: number,
  row: number,
): ColweaveError {
  const [one, other] = [before, row].map((each) => locateRow(descriptor, each)) as [
    ReturnType<typeof locateRow>,
    ReturnType<typeof locateRow>,
  ];
  return new ColweaveError('join/duplicate-key', `the primary dataset "${label}" has the same event twice`, {
    where: [other.uri],
    details: [
      `${keyText(keyRange(keys, row, row + 1), 0)}: ${one.uri} entry ${one.entry} and ${other.uri} entry ${other.entry}`,
    ],
    hint: 'first-by-source is about events that several datasets have: remove the overlap inside this one',
  });
}
