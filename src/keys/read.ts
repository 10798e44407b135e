// Owns reading key columns of any storage type into canonical unsigned words.
import { makeSmallArena } from '../core/arena.ts';
import type { Column, FlatColumn } from '../core/column.ts';
import { type Dtype, wordsOf } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { isLikeCms, type KeySpec, type KeyTable, keyStride } from '../core/key-spec.ts';
import { typeName } from '../core/schema.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { type Dataset, locateRow, readRows, requireField } from '../source/dataset.ts';
import { keyColumnNames } from './spec.ts';
import { inScratch, type KeyStore, makeKeyStore, putKeys } from './store.ts';

/** Rows of keys read at a time at most: bounds what is held beside the table. */
const KEY_READ_ROWS = 1 << 20;

/** Of a key column as it is stored. */
const VALUE_BYTES_MAX = 8;
/** The types that run and luminosityBlock, and event, mostly have. */
const NARROW: readonly Dtype[] = ['u32', 'i32'];
const WIDE: readonly Dtype[] = ['u64', 'i64'];
const SIGN_BIT = 0x80000000;

export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The keys of rows of a dataset (all of them by default), in words that threads share, or in `words`.
 * Errors: key/absent, key/bad-type (floats, strings, lists), key/negative (also null, also a value above 32 bits in a 32-bit key column).
 */
export async function readKeys(
  dataset: Dataset,
  spec: KeySpec,
  range: RowRange = { start: 0, end: dataset.descriptor.rows },
  signal?: AbortSignal,
  words: Uint32Array = sharedWords(range.end - range.start, keyStride(spec)),
): Promise<KeyTable> {
  checkKeyColumns(dataset, spec);
  const stride = keyStride(spec);
  const rows = range.end - range.start;
  await readKeysInto(dataset, spec, words, range, { firstRow: range.start, ...(signal && { signal }) });
  return { spec, rows, stride, words };
}

/** Errors: key/absent, key/bad-type. */
export function checkKeyColumns(dataset: Dataset, spec: KeySpec): void {
  for (const name of keyColumnNames(spec, dataset.descriptor.schema, placeOf(dataset))) refuseType(dataset, name);
}

/** Reads the keys of rows start .. end into a table that begins with row `firstRow`. Errors: key/negative. */
export async function readKeysInto(
  dataset: Dataset,
  spec: KeySpec,
  words: Uint32Array,
  { start, end }: RowRange,
  { firstRow = 0, signal }: { readonly firstRow?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const names = keyColumnNames(spec, dataset.descriptor.schema, placeOf(dataset));
  const stride = keyStride(spec);
  const cuts = keyCuts(dataset)
    .map((cut) => ({ at: Math.max(start, cut.start), to: Math.min(end, cut.end) }))
    .filter(({ at, to }) => at < to);
  const arena = makeSmallArena(Math.max(0, ...cuts.map(({ at, to }) => to - at)) * names.length * VALUE_BYTES_MAX);
  try {
    for (const { at, to } of cuts) {
      arena.clear();
      const columns = await readRows(dataset, names, at, to, signal, arena.take);
      placeColumns(dataset, { spec, names, stride }, columns, words, { first: at, base: at - firstRow });
    }
  } finally {
    arena.close();
  }
}

/** The same into wherever the keys of the source are kept; `start` .. `end` at most as many rows as `keyCuts` gives. */
export async function readIntoStore(
  dataset: Dataset,
  spec: KeySpec,
  keys: KeyStore,
  { start, end }: RowRange,
  signal?: AbortSignal,
): Promise<void> {
  if (!inScratch(keys)) return readKeysInto(dataset, spec, keys.words, { start, end }, { ...(signal && { signal }) });
  const words = new Uint32Array((end - start) * keys.stride);
  await readKeysInto(dataset, spec, words, { start, end }, { firstRow: start, ...(signal && { signal }) });
  putKeys(keys, start, words);
}

/** The keys of all rows of a dataset, in scratch. Errors: those of `readKeys`. */
export async function spillKeys(
  dataset: Dataset,
  spec: KeySpec,
  scratch: Scratch,
  signal?: AbortSignal,
): Promise<KeyStore> {
  checkKeyColumns(dataset, spec);
  const keys = makeKeyStore(spec, dataset.descriptor.rows, keyStride(spec), scratch);
  for (const range of keyCuts(dataset)) await readIntoStore(dataset, spec, keys, range, signal);
  return keys;
}

/** Rows of a dataset to read at a time: whole files, long ones in parts. */
export function keyCuts({ descriptor: { files } }: Dataset): readonly RowRange[] {
  return files.flatMap(({ firstRow, descriptor: { rows } }) => {
    const parts = Math.ceil(rows / KEY_READ_ROWS);
    return Array.from({ length: parts }, (_, i) => ({
      start: firstRow + i * KEY_READ_ROWS,
      end: firstRow + Math.min(rows, (i + 1) * KEY_READ_ROWS),
    }));
  });
}

export function sharedWords(rows: number, stride: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(rows * stride * 4));
}

function placeOf(dataset: Dataset): readonly string[] {
  const first = dataset.descriptor.files[0]!.descriptor;
  return [first.uri, ...(first.identity.tree === undefined ? [] : [first.identity.tree])];
}

function refuseType(dataset: Dataset, name: string): void {
  const { type } = requireField(dataset.descriptor, name);
  const good = type.kind === 'flat' && type.dtype !== 'f32' && type.dtype !== 'f64' && type.dtype !== 'bool';
  if (good) return;
  const float = type.kind === 'flat' && type.dtype.startsWith('f');
  throw new ColweaveError('key/bad-type', `key column "${name}" is ${typeName(type)}, not an integer`, {
    where: placeOf(dataset),
    ...(float
      ? {
          hint: 'a float holds no event number above 2^53 (f64) or 2^24 (f32): events would be mixed; produce the file again with integers',
        }
      : {}),
  });
}

interface Placement {
  readonly spec: KeySpec;
  readonly names: readonly string[];
  readonly stride: number;
}

function placeColumns(
  dataset: Dataset,
  { spec, names, stride }: Placement,
  columns: readonly Column[],
  words: Uint32Array,
  { first, base }: { readonly first: number; readonly base: number },
): void {
  if (placeTogether(spec, columns, words, base * stride)) return;
  let lane = 0;
  spec.columns.forEach((column, c) => {
    const values = columns[c] as FlatColumn;
    const bad = firstNull(values) ?? place(values, column.words, words, base * stride + lane, stride);
    if (bad !== undefined) throw badValue(dataset, names[c]!, values, bad, first + bad);
    lane += column.words;
  });
}

/** Run, luminosityBlock and event in one go. False: not this key, or a value that is none: to be looked for column by column. */
function placeTogether(spec: KeySpec, columns: readonly Column[], words: Uint32Array, at: number): boolean {
  if (!isLikeCms(spec)) return false;
  const flat = columns as readonly FlatColumn[];
  if (flat.some(({ dtype, valid }, c) => valid !== undefined || !(c < 2 ? NARROW : WIDE).includes(dtype))) return false;
  const [run, lumi, event] = flat.map(({ values, dtype }): KeyWords => {
    return { words: wordsOf(values), sign: dtype.startsWith('i') ? SIGN_BIT : 0 };
  });
  return placeCms({ run: run!, lumi: lumi!, event: event! }, words, at) === 0;
}

/** Values of a key column, and the bit that none of their last words may have. */
interface KeyWords {
  readonly words: Uint32Array;
  readonly sign: number;
}

/** The signs that were found. */
function placeCms(
  columns: { readonly run: KeyWords; readonly lumi: KeyWords; readonly event: KeyWords },
  out: Uint32Array,
  start: number,
): number {
  const { words: run, sign: runSign } = columns.run;
  const { words: lumi, sign: lumiSign } = columns.lumi;
  const { words: event, sign: eventSign } = columns.event;
  let found = 0;
  for (let i = 0, at = start; i < run.length; i++, at += 4) {
    const high = event[2 * i + 1]!;
    found |= (run[i]! & runSign) | (lumi[i]! & lumiSign) | (high & eventSign);
    out[at] = run[i]!;
    out[at + 1] = lumi[i]!;
    out[at + 2] = event[2 * i]!;
    out[at + 3] = high;
  }
  return found;
}

function firstNull({ valid }: FlatColumn): number | undefined {
  const at = valid?.indexOf(0) ?? -1;
  return at < 0 ? undefined : at;
}

function badValue(dataset: Dataset, name: string, column: FlatColumn, index: number, row: number): ColweaveError {
  const { uri, entry } = locateRow(dataset.descriptor, row);
  const value = column.valid?.[index] === 0 ? 'null' : String(column.values[index]);
  const what = value === 'null' || value.startsWith('-') ? `the value ${value}` : `the value ${value}, above 32 bits`;
  return new ColweaveError('key/negative', `key column "${name}" holds ${what}`, { where: [uri, `entry ${entry}`] });
}

/** Writes one key column into its lane; gives back the index of the first value that is no key. */
function place(column: FlatColumn, width: 1 | 2, out: Uint32Array, at: number, stride: number): number | undefined {
  const { values, dtype } = column;
  if (dtype === 'u64' || dtype === 'i64') {
    const words = wordsOf(values);
    return placeWide(words, dtype === 'i64', width, out, at, stride);
  }
  return placeNarrow(values as Int32Array, width, out, at, stride);
}

function placeWide(
  words: Uint32Array,
  signed: boolean,
  width: 1 | 2,
  out: Uint32Array,
  at: number,
  stride: number,
): number | undefined {
  for (let i = 0, to = at; i < words.length; i += 2, to += stride) {
    const high = words[i + 1]!;
    if ((signed && high >>> 31 === 1) || (width === 1 && high !== 0)) return i >> 1;
    out[to] = words[i]!;
    if (width === 2) out[to + 1] = high;
  }
  return undefined;
}

function placeNarrow(
  values: Int32Array,
  width: 1 | 2,
  out: Uint32Array,
  at: number,
  stride: number,
): number | undefined {
  for (let i = 0, to = at; i < values.length; i++, to += stride) {
    const value = values[i]!;
    if (value < 0) return i;
    out[to] = value;
    if (width === 2) out[to + 1] = 0;
  }
  return undefined;
}
