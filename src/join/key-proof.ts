// Owns the proof that payload is read from the rows whose keys were matched: the keys are read once more, with the payload.
import type { Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import type { Column, FlatColumn } from '../core/column.ts';
import { wordsOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { keyText } from '../core/key-spec.ts';
import { readKeys } from '../keys/read.ts';
import { keyColumnNames } from '../keys/spec.ts';
import { keyRange } from '../keys/store.ts';
import { type Dataset, type DatasetDescriptor, locateRow, readRows } from '../source/dataset.ts';
import type { JoinPlan } from './plan.ts';

interface Rows {
  readonly start: number;
  readonly end: number;
}

/** Names of the key columns in a source. */
export function keyNames({ key, sources }: JoinPlan, source: number): readonly string[] {
  return keyColumnNames(key, sources[source]!.dataset.schema, []);
}

/** Reads and proves rows start .. end. Errors: source/changed. */
export async function proveRows(
  plan: JoinPlan,
  source: number,
  dataset: Dataset,
  rows: Rows,
  { take, signal }: { readonly take: Take; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const columns = await readRows(dataset, keyNames(plan, source), rows.start, rows.end, signal, take);
  await proveKeys(plan, source, dataset, rows, columns);
}

/**
 * Rows start .. end have, in the file, the keys by which the plan was made. `columns`: the key columns as they were read.
 * Errors: source/changed: the file is another one by now, or an index of it was stale.
 */
export async function proveKeys(
  plan: JoinPlan,
  source: number,
  dataset: Dataset,
  { start, end }: Rows,
  columns: readonly Column[],
): Promise<void> {
  const { keys: all, label, dataset: planned } = plan.sources[source]!;
  invariant(sameFiles(planned, dataset.descriptor), `source ${label} is read from its own files`);
  const keys = keyRange(all, start, end);
  let lane = 0;
  let bad = -1;
  plan.key.columns.forEach(({ words }, c) => {
    const row = firstOther(columns[c] as FlatColumn, keys.words, lane, { width: words, stride: keys.stride });
    if (row >= 0 && (bad < 0 || row < bad)) bad = row;
    lane += words;
  });
  if (bad < 0) return;
  const row = start + bad;
  const now = await readKeys(dataset, plan.key, { start: row, end: row + 1 });
  const { uri, entry } = locateRow(dataset.descriptor, row);
  throw new ColweaveError('source/changed', `source "${label}" does not hold the events that were matched`, {
    where: [uri, `entry ${entry}`],
    details: [
      `matched: ${keyText(keys, bad)}`,
      `there now: ${keyText(now, 0)}`,
      `looked at rows ${start} to ${end - 1}`,
    ],
  });
}

/** Two variations hold the same events in the same order: only the identity of their files tells them apart. */
function sameFiles(left: DatasetDescriptor, right: DatasetDescriptor): boolean {
  if (left === right) return true;
  return (
    left.files.length === right.files.length &&
    left.files.every(({ descriptor }, i) => {
      const other = right.files[i]!.descriptor;
      return descriptor.uri === other.uri && descriptor.identity.id === other.identity.id;
    })
  );
}

interface Lane {
  /** Words of the key column in the table, and of the whole key. */
  readonly width: 1 | 2;
  readonly stride: number;
}

/** The first row whose value is not what the table has, or -1. Negative values have no place in a table: they differ. */
function firstOther(column: FlatColumn, table: Uint32Array, from: number, { width, stride }: Lane): number {
  if (column.valid?.includes(0)) return column.valid.indexOf(0);
  const { values } = column;
  if (values.BYTES_PER_ELEMENT === 8) return otherWide(wordsOf(values), table, from, { width, stride });
  if (values.BYTES_PER_ELEMENT === 4) return otherNarrow(wordsOf(values), table, from, { width, stride });
  return otherNarrow(Uint32Array.from(values as Uint8Array), table, from, { width, stride });
}

function otherWide(words: Uint32Array, table: Uint32Array, from: number, { width, stride }: Lane): number {
  const narrow = width === 1;
  for (let i = 0, at = from; i < words.length; i += 2, at += stride) {
    if (words[i] !== table[at] || words[i + 1] !== (narrow ? 0 : table[at + 1])) return i >> 1;
  }
  return -1;
}

function otherNarrow(words: Uint32Array, table: Uint32Array, from: number, { width, stride }: Lane): number {
  const wide = width === 2;
  for (let i = 0, at = from; i < words.length; i++, at += stride) {
    if (words[i] !== table[at] || (wide && table[at + 1] !== 0)) return i;
  }
  return -1;
}
