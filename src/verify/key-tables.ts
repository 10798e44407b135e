// Owns reading, sorting and matching the keys of the file under test and of the sources, wherever there is a free thread.
import { type KeySpec, type KeyTable, keyStride } from '../core/key-spec.ts';
import { readKeys, sharedWords } from '../keys/read.ts';
import type { Dataset } from '../source/dataset.ts';
import type { SourceFile } from '../source/types.ts';
import { datasetOf, type RowRange, rowRanges } from './output-file.ts';
import { pieceRanges } from './pieces.ts';
import type { Schedule } from './schedule.ts';
import { type SortedKeys, sameKeys } from './sort-merge.ts';
import type { Work } from './work.ts';

export interface Workplace {
  readonly work: Work;
  readonly schedule: Schedule;
  readonly signal: AbortSignal;
}

/** Errors: those of reading keys; of several the one that comes first in the file. */
export async function outputKeys(place: Workplace, file: SourceFile, spec: KeySpec): Promise<KeyTable> {
  return readTable(place, datasetOf(file), undefined, rowRanges(file), spec);
}

/** Of source `index` of those that the work knows. `known`: if the keys are the same, so is their order. */
export async function sourceKeys(
  place: Workplace,
  dataset: Dataset,
  index: number,
  known: SortedKeys,
): Promise<SortedKeys> {
  const keys = await readTable(place, dataset, index, pieceRanges(dataset.descriptor), known.keys.spec);
  return sameKeys(keys, known.keys) ? { ...known, keys } : inOrder(place, keys);
}

/** For each row of `left` the first row of `right` with its key, or -1. */
export async function matchKeys(
  { work, schedule }: Workplace,
  left: SortedKeys,
  right: SortedKeys,
): Promise<Int32Array> {
  return schedule.soon((seat) => work.run('merge', { left, right }, seat));
}

export async function inOrder({ work, schedule }: Workplace, keys: KeyTable): Promise<SortedKeys> {
  return schedule.soon((seat) => work.run('sort', keys, seat));
}

async function readTable(
  { work, schedule, signal }: Workplace,
  source: Dataset,
  dataset: number | undefined,
  ranges: readonly RowRange[],
  spec: KeySpec,
): Promise<KeyTable> {
  await readKeys(source, spec, { start: 0, end: 0 }, signal); // tells of absent and unfit columns, once
  const { rows } = source.descriptor;
  const stride = keyStride(spec);
  const words = sharedWords(rows, stride);
  const read = ranges.map((range) => schedule.soon((seat) => work.run('keys', { dataset, spec, range, words }, seat)));
  const failed = (await Promise.allSettled(read)).find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  return { spec, rows, stride, words };
}
