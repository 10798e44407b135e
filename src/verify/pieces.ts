// Owns pieces of a source: rows read in the source's own order into memory that all threads see.
import type { Take } from '../core/arena.ts';
import type { Column } from '../core/column.ts';
import { allocateShared, dtypeBytes, viewAs } from '../core/dtype.ts';
import { type DatasetDescriptor, forgetRead, readRows } from '../source/dataset.ts';
import type { BlockContext } from './block.ts';
import type { RowRange } from './output-file.ts';

/** Rows start .. end of a source. */
export interface Piece extends RowRange {
  readonly columns: ReadonlyMap<string, Column>;
}

/** Room for the arrays of all pieces of a batch; the first word says how many units of it are taken. */
export type Slab = SharedArrayBuffer;

/** What arrays lie at multiples of. */
const UNIT_BYTES = 16;
const HEAD_UNITS = 4;

export function makeSlab(bytes: number): Slab {
  const slab = new SharedArrayBuffer((HEAD_UNITS + Math.ceil(bytes / UNIT_BYTES)) * UNIT_BYTES);
  emptySlab(slab);
  return slab;
}

/** What was in it is given up. */
export function emptySlab(slab: Slab): void {
  Atomics.store(new Int32Array(slab, 0, 1), 0, HEAD_UNITS);
}

/** Threads take from it at once; what does not fit is made afresh. */
function takeFrom(slab: Slab): Take {
  const taken = new Int32Array(slab, 0, 1);
  const all = slab.byteLength / UNIT_BYTES;
  return (dtype, length) => {
    const units = Math.ceil((length * dtypeBytes(dtype)) / UNIT_BYTES);
    if (Atomics.load(taken, 0) + units > all) return allocateShared(dtype, length);
    const at = Atomics.add(taken, 0, units);
    return at + units > all ? allocateShared(dtype, length) : viewAs(dtype, slab, at * UNIT_BYTES, length);
  };
}

/** Plain data: rows of some columns of one of the context's datasets. */
export interface ReadTask {
  readonly dataset: number;
  readonly columns: readonly string[];
  readonly range: RowRange;
  readonly slab: Slab;
}

export async function readPiece({ datasets }: BlockContext, task: ReadTask, signal: AbortSignal): Promise<Piece> {
  const { range, columns: names, slab } = task;
  const dataset = datasets[task.dataset]!;
  const take = takeFrom(slab);
  const read = await readRows(dataset, names, range.start, range.end, signal, take);
  forgetRead(dataset);
  const known = new Map<ArrayBufferView, ArrayBufferView>();
  return { ...range, columns: new Map(names.map((name, i) => [name, sharedColumn(read[i]!, take, known)])) };
}

/** What the reader made without `take` is copied to where threads see it. */
function sharedColumn(column: Column, take: Take, known: Map<ArrayBufferView, ArrayBufferView>): Column {
  const shared = <A extends Int32Array | Uint8Array>(array: A): A => {
    if (array.buffer instanceof SharedArrayBuffer) return array;
    let copy = known.get(array) as A | undefined;
    if (copy === undefined) {
      copy = take(array instanceof Int32Array ? 'i32' : 'u8', array.length) as A;
      copy.set(array);
      known.set(array, copy);
    }
    return copy;
  };
  const valid = column.valid === undefined ? {} : { valid: shared(column.valid) };
  if (column.kind === 'list') {
    return { ...column, ...valid, offsets: shared(column.offsets), items: sharedColumn(column.items, take, known) };
  }
  if (column.kind === 'utf8')
    return { ...column, ...valid, offsets: shared(column.offsets), bytes: shared(column.bytes) };
  if (column.values.buffer instanceof SharedArrayBuffer) return { ...column, ...valid };
  const values = take(column.dtype, column.length);
  (values as Int32Array).set(column.values as Int32Array);
  return { ...column, ...valid, values };
}

/** Rows of a piece: what one thread reads at a time. */
const PIECE_ROWS_MAX = 1 << 18;

/** Whole files where they are not large: blocks of a file that lie across the border of two pieces are read twice. */
export function pieceRanges({ files }: DatasetDescriptor): readonly RowRange[] {
  return files.flatMap(({ firstRow, descriptor: { rows } }) => {
    const count = Math.ceil(rows / PIECE_ROWS_MAX);
    return Array.from({ length: count }, (_, i) => {
      return { start: firstRow + Math.floor((rows * i) / count), end: firstRow + Math.floor((rows * (i + 1)) / count) };
    });
  });
}
