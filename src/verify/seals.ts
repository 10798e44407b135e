// Owns recomputing every seal of a file from its bytes, block by block.
import type { FlatColumn } from '../core/column.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { addSeals, keyStates, NO_SEAL, type Seal, sealColumn, sealKeys, sealOrder, sealScope } from '../core/seal.ts';
import type { SourceFile } from '../source/types.ts';
import { batches, type RowRange, readGood, rowRanges, type Torn } from './output-file.ts';

export interface FileSeals {
  readonly keys: Seal;
  readonly order: Seal;
  readonly columns: ReadonlyMap<string, Seal>;
  /** Columns with fill values: over the rows whose flag says that the source has the event. */
  readonly moved: ReadonlyMap<string, Seal>;
  readonly torn: ReadonlyMap<string, TornColumn>;
}

/** Plain data, which threads hand over. */
export interface TornColumn {
  readonly message: string;
  readonly where: readonly string[];
}

/** Filled columns, each with the flag column that tells which rows its source has. */
export type Flags = ReadonlyMap<string, string>;

/** The sums over one range of rows; columns that cannot be read with the message why. */
export interface RangeSeals {
  readonly keys: Seal;
  readonly order: Seal;
  readonly columns: ReadonlyMap<string, Seal>;
  readonly moved: ReadonlyMap<string, Seal>;
  readonly torn: ReadonlyMap<string, TornColumn>;
}

/** Where sealing may run: here, or on threads. */
export type SealRanges = (ranges: readonly RowRange[]) => Promise<readonly RangeSeals[]>;

export async function sealFile(
  file: SourceFile,
  keys: KeyTable,
  flags: Flags,
  signal: AbortSignal,
  onThreads?: SealRanges,
): Promise<FileSeals> {
  const names = file.descriptor.schema.fields.map((field) => field.name);
  const sums = { keys: NO_SEAL, order: NO_SEAL, columns: new Map<string, Seal>(), moved: new Map<string, Seal>() };
  const torn = new Map<string, TornColumn>();
  for (const name of names) sums.columns.set(name, NO_SEAL);
  const addRange = (part: RangeSeals) => {
    sums.keys = addSeals(sums.keys, part.keys);
    sums.order = addSeals(sums.order, part.order);
    for (const [name, seal] of part.columns) add(sums.columns, name, seal);
    for (const [name, seal] of part.moved) add(sums.moved, name, seal);
    for (const [name, error] of part.torn) if (!torn.has(name)) torn.set(name, error);
  };
  const ranges = rowRanges(file);
  if (onThreads !== undefined) for (const part of await onThreads(ranges)) addRange(part);
  else for (const range of ranges) addRange(await sealRange(file, keys, flags, range, signal));
  return { ...sums, torn };
}

export async function sealRange(
  file: SourceFile,
  keys: KeyTable,
  flags: Flags,
  range: RowRange,
  signal: AbortSignal,
): Promise<RangeSeals> {
  const names = file.descriptor.schema.fields.map((field) => field.name);
  const torn: Torn = new Map();
  const columns = new Map<string, Seal>();
  const moved = new Map<string, Seal>();
  const states = keyStates(keys, range.start, range.end - range.start);
  const present = await readFlags(file, flags, range, torn, signal);
  for (const batch of batches(file, names, range.end - range.start)) {
    signal.throwIfAborted();
    const read = await readGood(file, batch, range, torn, signal);
    const scope = sealScope(states);
    for (const [name, column] of read) {
      add(columns, name, sealColumn(column, scope));
      const rows = present.get(flags.get(name) ?? '');
      if (rows !== undefined) add(moved, name, sealColumn(column, sealScope(states, rows)));
    }
  }
  const why = new Map([...torn].map(([name, { message, where }]) => [name, { message, where }] as const));
  return { keys: sealKeys(states), order: sealOrder(states, range.start), columns, moved, torn: why };
}

function add(sums: Map<string, Seal>, name: string, seal: Seal): void {
  sums.set(name, addSeals(sums.get(name) ?? NO_SEAL, seal));
}

/** One byte a row: 1 where the flag is 0, which says that the source has the event. */
async function readFlags(
  file: SourceFile,
  flags: Flags,
  range: RowRange,
  torn: Torn,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = [...new Set(flags.values())];
  if (names.length === 0) return new Map();
  const columns = await readGood(file, names, range, torn, signal);
  return new Map(
    [...columns].map(([name, column]) => [
      name,
      Uint8Array.from((column as FlatColumn).values as Uint8Array, (flag) => (flag === 0 ? 1 : 0)),
    ]),
  );
}
