// Owns the kinds of corruption that `npm run mutate` draws from: what went wrong in the world (facts on prior art) and what could.
// Each changes a table at a place drawn by chance, or says that this table has no such place.
import type { Column, FlatColumn, ListColumn } from '../../src/core/column.ts';
import { bytesOf } from '../../src/core/dtype.ts';
import { type Field, flat, sameType } from '../../src/core/schema.ts';
import { sameRow } from '../../src/verify/same-value.ts';
import { exchanged, rowsOf, type Subject, type Table, take, takeRows } from './harness.ts';
import type { Random } from './random.ts';

/** false = nothing of the kind can be done to this table. */
export type Change = (table: Table, random: Random, subject: Subject) => boolean;

export interface RandomKind {
  readonly name: string;
  readonly change: Change;
  /** Only these outputs have a place for it; absent = it is tried on any. */
  readonly fits?: (options: Subject['options']) => boolean;
  /** The receipt is made to agree with the corrupted file. */
  readonly forged?: true;
  /** The receipt agrees with the file: only the sources can tell. */
  readonly sourcesOnly?: true;
  /** Only the receipt can tell: every value left is where it was. */
  readonly receiptOnly?: true;
}

const KEYS = ['run', 'luminosityBlock', 'event'];
const flags = ({ fields }: Table) => fields.filter(({ name }) => name.endsWith('_missing')).map(({ name }) => name);
export const indexIn = ({ fields }: Table, name: string) => fields.findIndex((field) => field.name === name);
export const payload = (table: Table) =>
  table.fields.map((_, i) => i).filter((i) => ![...KEYS, ...flags(table)].includes(table.fields[i]!.name));

/** Columns in a drawn order, until one lets the change be made. */
export function someColumn(
  fits: (column: Column, field: Field) => boolean,
  change: (column: Column, random: Random) => Column | undefined,
  candidates: (table: Table) => readonly number[] = payload,
): Change {
  return (table, random) => {
    for (const i of random.shuffled(candidates(table))) {
      const column = table.columns[i]!;
      if (!fits(column, table.fields[i]!)) continue;
      const changed = change(column, random);
      if (changed === undefined || equal(column, changed)) continue;
      table.columns[i] = changed;
      return true;
    }
    return false;
  };
}

export function equal(left: Column, right: Column): boolean {
  if (left.length !== right.length) return false;
  const same = sameRow(left, right);
  for (let i = 0; i < left.length; i++) if (!same(i, i)) return false;
  return true;
}

export const all = (column: Column): number[] => [...Array(column.length).keys()];
export const copied = (column: Column): Column => take(column, all(column));

/** Two rows that differ take the place of each other. */
export function swapRows(column: Column, random: Random): Column | undefined {
  const same = sameRow(column, column);
  for (let tries = 0; tries < 200; tries++) {
    const [i, j] = [random.below(column.length), random.below(column.length)];
    if (!same(i, j)) return take(column, exchanged(all(column), i, j));
  }
  return undefined;
}

const isFlat = (dtype: RegExp) => (column: Column) => column.kind === 'flat' && dtype.test(column.dtype);

function shiftedBy(count: (random: Random, rows: number) => number) {
  return (column: Column, random: Random): Column => {
    const rows = all(column);
    const by = count(random, rows.length);
    return take(column, [...rows.slice(by), ...rows.slice(0, by)]);
  };
}

function moveBoundary(column: Column, random: Random): Column | undefined {
  const { offsets, valid } = column as ListColumn;
  const full = all(column).filter(
    (i) => i + 1 < column.length && offsets[i + 1]! > offsets[i]! && valid?.[i + 1] !== 0,
  );
  if (full.length === 0) return undefined;
  const row = random.pick(full);
  const moved = offsets.slice();
  moved[row + 1] = moved[row + 1]! - 1;
  return { ...(column as ListColumn), offsets: moved };
}

function reverseItems(column: Column, random: Random): Column | undefined {
  const { offsets, items } = column as ListColumn;
  const long = all(column).filter((i) => offsets[i + 1]! - offsets[i]! > 1);
  if (long.length === 0) return undefined;
  const row = random.pick(long);
  const [start, end] = [offsets[row]!, offsets[row + 1]!];
  const places = all(items);
  return {
    ...(column as ListColumn),
    items: take(items, [...places.slice(0, start), ...places.slice(start, end).reverse(), ...places.slice(end)]),
  };
}

/** One bit of one value that is there. */
function flipBit(column: Column, random: Random): Column | undefined {
  const out = copied(column) as FlatColumn;
  const there = all(out).filter((i) => out.valid?.[i] !== 0);
  if (there.length === 0) return undefined;
  const row = random.pick(there);
  const bytes = bytesOf(out.values);
  const { BYTES_PER_ELEMENT: size } = out.values;
  const bit = out.dtype === 'bool' ? 0 : random.below(8 * size);
  bytes[row * size + (bit >> 3)]! ^= 1 << (bit & 7);
  return out;
}

/** A value of a list of floats or integers, one bit. */
function flipItemBit(column: Column, random: Random): Column | undefined {
  const list = column as ListColumn;
  if (list.items.kind !== 'flat' || list.items.length === 0) return undefined;
  const items = flipBit(list.items, random);
  return items === undefined ? undefined : { ...list, items };
}

function negateZero(column: Column, random: Random): Column | undefined {
  const out = copied(column) as FlatColumn;
  const zeros = all(out).filter((i) => out.values[i] === 0 && out.valid?.[i] !== 0);
  if (zeros.length === 0) return undefined;
  const row = random.pick(zeros);
  out.values[row] = Object.is(out.values[row], 0) ? -0 : 0;
  return out;
}

function otherNaN(column: Column, random: Random): Column | undefined {
  const out = copied(column) as FlatColumn;
  const nans = all(out).filter((i) => Number.isNaN(out.values[i]) && out.valid?.[i] !== 0);
  if (nans.length === 0) return undefined;
  bytesOf(out.values)[random.pick(nans) * out.values.BYTES_PER_ELEMENT]! ^= 2;
  return out;
}

function setValid(from: 0 | 1) {
  return (column: Column, random: Random): Column | undefined => {
    const valid = column.valid?.slice() ?? new Uint8Array(column.length).fill(1);
    const rows = all(column).filter((i) => valid[i] === from && (from === 1 || column.kind === 'flat'));
    if (rows.length === 0) return undefined;
    const row = random.pick(rows);
    valid[row] = from === 1 ? 0 : 1;
    if (column.kind !== 'list')
      return column.kind === 'flat' ? ({ ...column, valid } as Column) : nullText(column, valid, row);
    const [start, end] = [column.offsets[row]!, column.offsets[row + 1]!];
    const items = take(column.items, all(column.items).toSpliced(start, end - start));
    return { ...column, offsets: column.offsets.map((at, i) => (i > row ? at - (end - start) : at)), items, valid };
  };
}

/** A null row has no bytes. */
function nullText(column: Column, valid: Uint8Array, row: number): Column | undefined {
  if (column.kind !== 'utf8') return undefined;
  const [start, end] = [column.offsets[row]!, column.offsets[row + 1]!];
  const bytes = Uint8Array.from([...column.bytes.subarray(0, start), ...column.bytes.subarray(end)]);
  return { ...column, offsets: column.offsets.map((at, i) => (i > row ? at - (end - start) : at)), bytes, valid };
}

/** Where an event is missing the value of the row before is kept: what an index miss did to friends. */
function keepOld(column: Column, random: Random): Column | undefined {
  const { valid } = column;
  const missing = all(column).filter((i) => i > 0 && valid?.[i] === 0 && valid[i - 1] === 1);
  if (missing.length === 0) return undefined;
  const row = random.pick(missing);
  return take(column, all(column).with(row, row - 1));
}

/** All columns of one friend at once. */
function friendRows(rows: (count: number, random: Random) => readonly number[]): Change {
  return (table, random) => {
    for (const flag of random.shuffled(flags(table))) {
      const suffix = `_${flag.slice(0, -'_missing'.length)}`;
      const own = table.fields.map((_, i) => i).filter((i) => table.fields[i]!.name.endsWith(suffix));
      const before = [...table.columns];
      for (const i of own) table.columns[i] = take(table.columns[i]!, rows(table.columns[i]!.length, random));
      if (own.some((i) => !equal(before[i]!, table.columns[i]!))) return true;
    }
    return false;
  };
}

const ordered = (count: number): number[] => [...Array(count).keys()];

function exchangeColumns(table: Table, random: Random): boolean {
  for (const i of random.shuffled(payload(table))) {
    for (const j of random.shuffled(payload(table))) {
      const [a, b] = [table.columns[i]!, table.columns[j]!];
      const [left, right] = [table.fields[i]!, table.fields[j]!];
      if (i === j || !sameType(left.type, right.type) || left.nullable !== right.nullable || equal(a, b)) continue;
      if (left.counter !== right.counter) continue;
      table.columns[i] = b;
      table.columns[j] = a;
      return true;
    }
  }
  return false;
}

function changeRows(change: (rows: number[], random: Random, table: Table) => number[] | undefined): Change {
  return (table, random) => {
    const rows = change(rowsOf(table), random, table);
    if (rows === undefined) return false;
    takeRows(table, rows);
    return true;
  };
}

function changeKey(name: string, change: (value: bigint, random: Random) => bigint | undefined): Change {
  return (table, random) => {
    const index = indexIn(table, name);
    const out = copied(table.columns[index]!) as FlatColumn;
    for (const row of random.shuffled(all(out))) {
      const value = change(BigInt(out.values[row]!), random);
      if (value === undefined || value === BigInt(out.values[row]!)) continue;
      out.values[row] = typeof out.values[row] === 'bigint' ? value : Number(value);
      table.columns[index] = out;
      return true;
    }
    return false;
  };
}

/** Events of one lumi block, all of them. */
function lumiRows(table: Table, random: Random): number[] {
  const lumi = (table.columns[indexIn(table, 'luminosityBlock')] as FlatColumn).values;
  const chosen = random.pick([...lumi]);
  return rowsOf(table).filter((row) => lumi[row] === chosen);
}

function keysApart(table: Table, random: Random): boolean {
  const rows = random.shuffled(rowsOf(table));
  if (rows.every((row, i) => row === i)) return false;
  takeRows(table, rows, KEYS);
  return true;
}

function widen(table: Table, random: Random): boolean {
  for (const i of random.shuffled(payload(table))) {
    const column = table.columns[i]!;
    if (column.kind !== 'flat' || !/^(u8|i8|u16|i16)$/.test(column.dtype)) continue;
    table.fields[i] = { ...table.fields[i]!, type: flat('i32') };
    table.columns[i] = { ...column, dtype: 'i32', values: Int32Array.from(column.values as Int8Array) };
    return true;
  }
  return false;
}

function rename(table: Table, random: Random): boolean {
  const i = random.pick(payload(table));
  table.fields[i] = { ...table.fields[i]!, name: `${table.fields[i]!.name}X` };
  return true;
}

function remove(table: Table, random: Random): boolean {
  const i = random.pick(payload(table));
  table.fields.splice(i, 1);
  table.columns.splice(i, 1);
  return true;
}

function add(table: Table, random: Random): boolean {
  const i = random.pick(payload(table));
  table.fields.push({ ...table.fields[i]!, name: 'added', nullable: true });
  table.columns.push(table.columns[i]!);
  return true;
}

const BLOCK = 64;
/** Blocks of rows as threads finished them. */
function blocksApart(count: number, random: Random): number[] {
  const rows = ordered(count);
  const blocks = ordered(Math.ceil(count / BLOCK)).map((block) => rows.slice(block * BLOCK, (block + 1) * BLOCK));
  return random.shuffled(blocks).flat();
}

const zeros = (column: Column): Column => ({
  ...(copied(column) as FlatColumn),
  values: new Uint8Array(column.length),
});

export const RANDOM_KINDS: readonly RandomKind[] = [
  { name: 'two rows of a float column exchanged', change: someColumn(isFlat(/^f/), swapRows) },
  { name: 'two rows of an integer column exchanged', change: someColumn(isFlat(/^[iu]/), swapRows) },
  { name: 'two rows of a bool column exchanged', change: someColumn(isFlat(/^bool/), swapRows) },
  { name: 'two rows of a list column exchanged', change: someColumn(({ kind }) => kind === 'list', swapRows) },
  { name: 'two rows of a text column exchanged', change: someColumn(({ kind }) => kind === 'utf8', swapRows) },
  {
    name: 'a column one row early',
    change: someColumn(
      () => true,
      shiftedBy(() => 1),
    ),
  },
  {
    name: 'a column some rows early',
    change: someColumn(
      () => true,
      shiftedBy((random, rows) => 1 + random.below(rows - 1)),
    ),
  },
  {
    name: 'a list boundary moved by an item',
    change: someColumn(({ kind }, { type }) => kind === 'list' && !('size' in type), moveBoundary),
  },
  { name: 'items of a list in another order', change: someColumn(({ kind }) => kind === 'list', reverseItems) },
  { name: 'one bit of a float', change: someColumn(isFlat(/^f/), flipBit) },
  { name: 'one bit of an integer or bool', change: someColumn(isFlat(/^[iub]/), flipBit) },
  { name: 'one bit of a list item', change: someColumn(({ kind }) => kind === 'list', flipItemBit) },
  { name: '0 becomes -0, or -0 becomes 0', change: someColumn(isFlat(/^f/), negateZero) },
  { name: 'a NaN becomes another NaN', change: someColumn(isFlat(/^f/), otherNaN) },
  { name: 'a missing value becomes 0', change: someColumn(({ valid }) => valid !== undefined, setValid(0)) },
  {
    name: 'a missing value keeps that of the event before',
    change: someColumn(({ valid }) => valid !== undefined, keepOld),
  },
  { name: 'a value becomes null', change: someColumn((_, { nullable }) => nullable, setValid(1)) },
  {
    name: 'a flag says something else',
    change: someColumn(
      () => true,
      flipBit,
      (table) => flags(table).map((name) => indexIn(table, name)),
    ),
  },
  { name: 'two columns exchanged (jesUp and jesDown)', change: exchangeColumns },
  { name: 'trigger bits back-filled with false', change: someColumn(isFlat(/^bool/), zeros) },
  {
    name: 'a friend beside by position, one event late',
    change: friendRows((count) => [count - 1, ...ordered(count - 1)]),
  },
  {
    name: 'a friend shorter than the main tree: last row repeated',
    change: friendRows((count) => ordered(count).map((i) => Math.min(i, count - 40))),
  },
  {
    name: 'a friend whose misses keep the event before',
    change: friendRows((count) => ordered(count).map((i) => (i % 3 === 2 ? i - 1 : i))),
  },
  { name: 'a friend whose blocks threads put in another order', change: friendRows(blocksApart) },
  { name: 'keys in another order than the payload', change: keysApart },
  { name: 'a row lost', change: changeRows((rows, random) => rows.toSpliced(random.below(rows.length), 1)) },
  { name: 'the last row lost', change: changeRows((rows) => rows.slice(0, -1)) },
  {
    name: 'a lumi block lost',
    change: changeRows((rows, random, table) =>
      rows.filter(
        (
          (gone) => (row: number) =>
            !gone.has(row)
        )(new Set(lumiRows(table, random))),
      ),
    ),
  },
  {
    name: 'a row doubled',
    change: changeRows((rows, random) => rows.toSpliced(random.below(rows.length), 0, random.pick(rows))),
  },
  { name: 'a lumi block doubled', change: changeRows((rows, random, table) => [...rows, ...lumiRows(table, random)]) },
  { name: 'all rows doubled', change: changeRows((rows) => [...rows, ...rows]) },
  {
    name: 'a row replaced by another',
    change: changeRows((rows, random) => {
      const [i, j] = random.shuffled(rows);
      return rows.with(i!, j!);
    }),
  },
  { name: 'the low bit of an event number', change: changeKey('event', (event) => event ^ 1n) },
  {
    name: 'an event number through a double',
    change: changeKey('event', (event) => BigInt.asUintN(64, BigInt(Number(event)))),
  },
  { name: 'an event number cut to 32 bits', change: changeKey('event', (event) => event & 0xffffffffn) },
  {
    name: 'an event in another lumi block',
    change: changeKey('luminosityBlock', (lumi, random) => lumi + 1n + BigInt(random.below(9))),
  },
  { name: 'an event in another run', change: changeKey('run', (run, random) => run + 1n + BigInt(random.below(9))) },
  { name: 'a column of another type', change: widen, receiptOnly: true },
  { name: 'a column renamed', change: rename, receiptOnly: true },
  { name: 'a column lost', change: remove, receiptOnly: true },
  { name: 'a column added', change: add, receiptOnly: true },
];
