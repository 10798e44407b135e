// Owns checking a row map (--map-only) against the sources: every event where its file and entry say, and nowhere else.
import type { FlatColumn } from '../core/column.ts';
import { locateRow } from '../source/dataset.ts';
import type { SourceFile } from '../source/types.ts';
import { type MatchedSource, outputOffender } from './events.ts';
import { counted, type Finding, finding, OFFENDERS_MAX } from './findings.ts';
import { readGood, rowRanges, type Torn } from './output-file.ts';
import type { SortedKeys } from './sort-merge.ts';

export interface MapTest {
  readonly path: string;
  readonly file: SourceFile;
  readonly keys: SortedKeys;
}

/** `LABEL_file` counts the source's files in the order of the receipt, `LABEL_entry` the entries of each; -1 where absent. */
export async function checkRowMap(
  test: MapTest,
  source: MatchedSource,
  torn: Torn,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const names = ['file', 'entry'].map((part) => `${source.label}_${part}`);
  const { descriptor } = source.dataset;
  const indexOf = new Map(descriptor.files.map(({ descriptor: { uri }, firstRow }, i) => [`${uri} ${firstRow}`, i]));
  const wrong: number[] = [];
  for (const range of rowRanges(test.file)) {
    const columns = await readGood(test.file, names, range, torn, signal);
    const [files, entries] = names.map((name) => (columns.get(name) as FlatColumn | undefined)?.values);
    for (let row = range.start; row < range.end && files !== undefined && entries !== undefined; row++) {
      const at = source.rowOf[row]!;
      const place = at < 0 ? undefined : locateRow(descriptor, at);
      const file = place === undefined ? -1 : indexOf.get(`${place.uri} ${at - place.entry}`);
      const i = row - range.start;
      if (files[i] !== file || entries[i] !== (place?.entry ?? -1)) wrong.push(row);
    }
  }
  if (wrong.length === 0) return [];
  const first = wrong.slice(0, OFFENDERS_MAX).map((row) => outputOffender(test, row));
  const text = `${names.join(' and ')} do not say where ${counted(wrong.length, 'event')} of ${source.label} are, first ${first[0]!.key}`;
  return [finding('verify/value-differs', text, { count: wrong.length, columns: names, first })];
}
