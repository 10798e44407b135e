// Owns the selection of primary events: reads the columns of the expression, and those of a later term only where rows are left.
import { type Column, sliceColumns } from '../../core/column.ts';
import { ColweaveError } from '../../core/errors.ts';
import type { Term, Where } from '../../core/where/where.ts';
import { type Dataset, locateRow, readRows } from '../../source/dataset.ts';
import { evaluateTerm, type RowsAtHand } from './evaluate.ts';

/** Rows read at a time. */
const CHUNK_ROWS = 1 << 16;
/** Rows evaluated at a time: what comes in between stays in a core's cache. */
const EVALUATED_ROWS = 1 << 13;

export interface Selection {
  readonly where: string;
  /** One byte a row of the primary, 1 = kept. */
  readonly selected: Uint8Array;
  /** Rows left after each term. */
  readonly terms: readonly { readonly term: string; readonly rows: number }[];
}

/** Of some neighbouring rows. */
export interface SelectedRows {
  readonly selected: Uint8Array;
  /** Rows left after each term. */
  readonly left: readonly number[];
}

/** Errors: where/value with file and entry, those of reading. */
export async function selectEvents(dataset: Dataset, where: Where, signal: AbortSignal): Promise<Selection> {
  const { rows } = dataset.descriptor;
  return selectionOf(rows, where, [await selectRows(dataset, where, { start: 0, end: rows }, signal)]);
}

/** Stretches of rows put together that follow each other. */
export function selectionOf(rows: number, where: Where, parts: readonly SelectedRows[]): Selection {
  const selected = new Uint8Array(rows);
  let at = 0;
  for (const part of parts) {
    selected.set(part.selected, at);
    at += part.selected.length;
  }
  const terms = where.terms.map(({ text }, t) => ({
    term: text,
    rows: parts.reduce((sum, { left }) => sum + left[t]!, 0),
  }));
  return { where: where.text, selected, terms };
}

/** Of rows begin .. end. Errors: those of `selectEvents`. */
export async function selectRows(
  dataset: Dataset,
  where: Where,
  { start: begin, end }: { readonly start: number; readonly end: number },
  signal?: AbortSignal,
): Promise<SelectedRows> {
  const selected = new Uint8Array(end - begin).fill(1);
  const left = where.terms.map(() => 0);
  const constants: RowsAtHand['constants'] = new Map();
  for (let start = begin; start < end; start += CHUNK_ROWS) {
    signal?.throwIfAborted();
    const chunk = selected.subarray(start - begin, Math.min(end, start + CHUNK_ROWS) - begin);
    const read = new Map<string, Column>();
    for (const [t, term] of where.terms.entries()) {
      await readFor(dataset, term, { start, rows: chunk.length, read }, signal);
      const kept = evaluateChunk(dataset, term, { start, read, constants }, chunk);
      left[t] = left[t]! + kept;
      if (kept === 0) break;
    }
  }
  return { selected, left };
}

/** Takes the rows for which the term is not true out of `chunk`; gives the number of those that are left. */
function evaluateChunk(
  dataset: Dataset,
  { node, columns }: Term,
  { start, read, constants }: Pick<Chunk, 'start' | 'read'> & Pick<RowsAtHand, 'constants'>,
  chunk: Uint8Array,
): number {
  const columnsRead = columns.map((name) => read.get(name)!);
  let left = 0;
  for (let from = 0; from < chunk.length; from += EVALUATED_ROWS) {
    const some = chunk.subarray(from, from + EVALUATED_ROWS);
    if (!some.includes(1)) continue;
    const end = from + some.length;
    const own = sliceColumns(columnsRead, from, end);
    const named = new Map(columns.map((name, c) => [name, own[c]!]));
    const at = { rows: some.length, columns: named, constants, refuse: refuseAt(dataset, start + from) };
    left += keepTrue(some, evaluateTerm(node, at));
  }
  return left;
}

interface Chunk {
  readonly start: number;
  readonly rows: number;
  readonly read: Map<string, Column>;
}

async function readFor(
  dataset: Dataset,
  { columns }: Term,
  chunk: Chunk,
  signal: AbortSignal | undefined,
): Promise<void> {
  const names = columns.filter((name) => !chunk.read.has(name));
  if (names.length === 0) return;
  const read = await readRows(dataset, names, chunk.start, chunk.start + chunk.rows, signal);
  names.forEach((name, i) => {
    refuseNullItems(dataset, name, read[i]!, chunk.start);
    chunk.read.set(name, read[i]!);
  });
}

function refuseNullItems(dataset: Dataset, name: string, column: Column, start: number): void {
  if (column.kind !== 'list') return;
  const item = column.items.valid?.indexOf(0) ?? -1;
  if (item < 0) return;
  const row = column.offsets.findIndex((end) => end > item) - 1;
  throw valueError(dataset, start + row, `list column "${name}" holds a null inside a list`);
}

function refuseAt(dataset: Dataset, start: number): RowsAtHand['refuse'] {
  return (row, left, right) => {
    throw valueError(dataset, start + row, `lists "${left}" and "${right}" differ in length`);
  };
}

function valueError({ descriptor }: Dataset, row: number, message: string): ColweaveError {
  const { uri, entry } = locateRow(descriptor, row);
  return new ColweaveError('where/value', `--where: ${message}`, { where: [uri, `entry ${entry}`] });
}

/** Gives the number of rows that are left. */
function keepTrue(chunk: Uint8Array, truth: Uint8Array): number {
  let kept = 0;
  for (let i = 0; i < chunk.length; i++) {
    const keep = chunk[i]! & truth[i]!;
    chunk[i] = keep;
    kept += keep;
  }
  return kept;
}
