// Owns what --map-only writes: for each output row the file and the entry of every source, instead of payload.
import type { OutColumn, SourcePlan } from './plan.ts';

/** `LABEL_file` and `LABEL_entry` of each source, by their names in the plan. */
export function mapColumns(names: readonly string[]): OutColumn[] {
  return names.flatMap((name, source): OutColumn[] => {
    const column = (kind: 'file' | 'entry', doc: string): OutColumn => ({
      field: { name: `${name}_${kind}`, type: { kind: 'flat', dtype: 'i32' }, nullable: false, doc },
      kind,
      source,
      from: '',
      rowBytes: 4,
    });
    return [
      column('file', `which file of ${name}, counted from 0 in the order of the receipt; -1: it has no such event`),
      column('entry', `entry in that file of ${name}; -1: it has no such event`),
    ];
  });
}

/** File and entry of output rows start .. end, -1 = absent. */
export function placesOf(
  { map, dataset }: SourcePlan,
  start: number,
  end: number,
): { readonly file: Int32Array; readonly entry: Int32Array } {
  const file = new Int32Array(end - start).fill(-1);
  const entry = new Int32Array(end - start).fill(-1);
  const { files } = dataset;
  const firsts = Int32Array.from(files, ({ firstRow }) => firstRow);
  let at = 0;
  for (let i = 0; i < file.length; i++) {
    const row = map === undefined ? start + i : map[start + i]!;
    if (row < 0) continue;
    // neighbours mostly are in one file; a file without rows holds none
    const within = row >= firsts[at]! && row < firsts[at]! + files[at]!.descriptor.rows;
    if (!within) at = lastAtMost(firsts, row);
    file[i] = at;
    entry[i] = row - firsts[at]!;
  }
  return { file, entry };
}

/** The last file that begins at or before the row: of empty ones, which begin there too, the one after them. */
function lastAtMost(firsts: Int32Array, row: number): number {
  let low = 0;
  let high = firsts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (firsts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
