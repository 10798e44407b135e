// Owns checking one row group: its seals, its stored bytes, and its values against those of the sources, all of one decoding.
import type { ByteRange } from '../bytes/types.ts';
import type { Arena, Take } from '../core/arena.ts';
import type { Column, FlatColumn } from '../core/column.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import {
  addSeals,
  type KeyStates,
  keyStates,
  NO_SEAL,
  type Seal,
  sealColumn,
  sealKeys,
  sealOrder,
  sealScope,
} from '../core/seal.ts';
import { readKeys } from '../keys/read.ts';
import type { Dataset } from '../source/dataset.ts';
import type { SourceFile } from '../source/types.ts';
import { addLumis, type LumiEvents } from './lumi.ts';
import { batches, datasetOf, type RowRange, readGood, type Torn } from './output-file.ts';
import { hashStored } from './stored-bytes.ts';
import { type Against, compareBatch, type Difference } from './values.ts';

/** Raw bytes of the output decoded at a time: they fit in a thread's arena beside as many of the sources. */
const BATCH_BYTES = 8 * 2 ** 20;

/** What a thread holds between tasks. */
export interface BlockContext {
  readonly file: SourceFile;
  /** The sources given, opened again. */
  readonly datasets: readonly Dataset[];
  /** What a batch makes is in it until the next batch begins. */
  readonly arena: Arena;
}

/** Filled columns, each with the flag column that tells which rows its source has. */
export type Flags = ReadonlyMap<string, string>;

/** Plain data: a row group, and what is to be done with which of its columns. */
export interface BlockTask {
  readonly range: RowRange;
  readonly seals?: SealTask | undefined;
  /** Bytes of the file to be hashed, one after the other. */
  readonly stored?: readonly ByteRange[] | undefined;
  readonly against: readonly Against[];
}

export interface SealTask {
  readonly spec: KeySpec;
  /** Of all rows; absent = the keys of the block are read with it, and its lumi blocks are counted. */
  readonly keys?: KeyTable | undefined;
  readonly columns: readonly string[];
  readonly flags: Flags;
  /** Also the sums over the keys and over the row numbers. */
  readonly rows: boolean;
}

/** Plain data, which threads hand over. */
export interface TornColumn {
  readonly message: string;
  readonly where: readonly string[];
}

/** Sums over the rows of a block. */
export interface BlockSeals {
  readonly keys: Seal;
  readonly order: Seal;
  readonly columns: ReadonlyMap<string, Seal>;
  /** Columns with fill values: over the rows whose flag says that the source has the event. */
  readonly moved: ReadonlyMap<string, Seal>;
}

export interface BlockResult {
  readonly seals: BlockSeals;
  readonly torn: ReadonlyMap<string, TornColumn>;
  /** Of keys that were read with the block. */
  readonly lumis?: LumiEvents | undefined;
  /** sha256 of the stored bytes. */
  readonly hash?: string;
  /** One list for each `against`. */
  readonly differences: readonly (readonly Difference[])[];
}

export async function checkBlock(context: BlockContext, task: BlockTask, signal: AbortSignal): Promise<BlockResult> {
  const { file, arena } = context;
  const { range, seals, against } = task;
  const rows = range.end - range.start;
  const torn: Torn = new Map();
  arena.clear();
  const work = await beginSeals(file, { seals, range, torn }, arena.take, signal);
  arena.hold();
  const differences = against.map((): Map<string, Difference> => new Map());
  const wanted = new Set([...(seals?.columns ?? []), ...against.flatMap(({ columns }) => [...columns.keys()])]);
  const names = file.descriptor.schema.fields.map(({ name }) => name).filter((name) => wanted.has(name));
  for (const batch of batches(file, names, rows, BATCH_BYTES)) {
    signal.throwIfAborted();
    arena.reset();
    const columns = await readGood(file, batch, range, torn, signal, arena.take);
    if (work !== undefined) sealBatch(work, columns, arena.take);
    for (const [i, other] of against.entries())
      await compareBatch(context, { against: other, range, columns }, differences[i]!, signal);
  }
  const hash = task.stored === undefined ? {} : { hash: await hashStored(file.descriptor.uri, task.stored, signal) };
  return {
    seals: work?.sums ?? { keys: NO_SEAL, order: NO_SEAL, columns: new Map(), moved: new Map() },
    lumis: work?.lumis,
    torn: new Map([...torn].map(([name, { message, where }]) => [name, { message, where }] as const)),
    differences: differences.map((found) => [...found.values()]),
    ...hash,
  };
}

interface SealWork {
  readonly task: SealTask;
  readonly states: KeyStates;
  readonly lumis: LumiEvents | undefined;
  /** By flag column: one byte a row, 1 where the source has the event. */
  readonly present: ReadonlyMap<string, Uint8Array>;
  readonly sums: BlockSeals & { readonly columns: Map<string, Seal>; readonly moved: Map<string, Seal> };
}

interface SealsWanted {
  readonly seals: SealTask | undefined;
  readonly range: RowRange;
  readonly torn: Torn;
}

async function beginSeals(
  file: SourceFile,
  { seals: task, range, torn }: SealsWanted,
  take: Take,
  signal: AbortSignal,
): Promise<SealWork | undefined> {
  if (task === undefined) return undefined;
  const rows = range.end - range.start;
  const own = task.keys === undefined ? await readKeys(datasetOf(file), task.spec, range, signal) : undefined;
  const states = own === undefined ? keyStates(task.keys!, range.start, rows, take) : keyStates(own, 0, rows, take);
  const lumis: LumiEvents | undefined = own && new Map();
  if (own !== undefined) addLumis(lumis!, own);
  const present = await readFlags(file, task, range, torn, signal);
  const keys = task.rows ? sealKeys(states) : NO_SEAL;
  const order = task.rows ? sealOrder(states, range.start) : NO_SEAL;
  return { task, states, present, lumis, sums: { keys, order, columns: new Map(), moved: new Map() } };
}

/** One byte a row: 1 where the flag is 0, which says that the source has the event. */
async function readFlags(
  file: SourceFile,
  { flags, columns }: SealTask,
  range: RowRange,
  torn: Torn,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = [...new Set(columns.flatMap((name) => flags.get(name) ?? []))];
  if (names.length === 0) return new Map();
  const read = await readGood(file, names, range, torn, signal);
  return new Map(
    [...read].map(([name, column]) => [
      name,
      Uint8Array.from((column as FlatColumn).values as Uint8Array, (flag) => (flag === 0 ? 1 : 0)),
    ]),
  );
}

function sealBatch({ task, states, present, sums }: SealWork, columns: ReadonlyMap<string, Column>, take: Take): void {
  const near = nearOffsets(take);
  const scope = sealScope(states, undefined, take);
  const wanted = new Set(task.columns);
  for (const [name, column] of columns) {
    if (!wanted.has(name)) continue;
    const own = near(column);
    add(sums.columns, name, sealColumn(own, scope));
    const rows = present.get(task.flags.get(name) ?? '');
    if (rows !== undefined) add(sums.moved, name, sealColumn(own, sealScope(states, rows, take)));
  }
}

function add(sums: Map<string, Seal>, name: string, seal: Seal): void {
  sums.set(name, addSeals(sums.get(name) ?? NO_SEAL, seal));
}

/** Offsets that a reader keeps from batch to batch are none of the arena, where the kernels of seals read them. */
function nearOffsets(take: Take): (column: Column) => Column {
  const known = new Map<Int32Array, Int32Array>();
  return (column) => {
    if (column.kind !== 'list' || column.items.kind !== 'flat') return column;
    let offsets = known.get(column.offsets);
    if (offsets === undefined) {
      offsets = take('i32', column.offsets.length) as Int32Array;
      offsets.set(column.offsets);
      known.set(column.offsets, offsets);
    }
    return { ...column, offsets };
  };
}
