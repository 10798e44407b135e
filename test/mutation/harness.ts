// Owns making a real output and corrupting it: at the level of values, by writing the file again, or in its bytes.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runJoin } from '../../src/command/join.ts';
import type { CommandContext, JoinOptions, JoinReport, VerifyOptions, VerifyReport } from '../../src/command/types.ts';
import { runVerify } from '../../src/command/verify.ts';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { allocate, type Dtype, type Values } from '../../src/core/dtype.ts';
import { RECEIPT_KEY } from '../../src/core/receipt.ts';
import { type Field, flat } from '../../src/core/schema.ts';
import { keyStates, sealHex, sealOrder } from '../../src/core/seal.ts';
import { readKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { openSink } from '../../src/sink/registry.ts';
import { ownReceipt } from '../../src/source/own-metadata.ts';
import { openSource } from '../../src/source/registry.ts';
import type { Finding } from '../../src/verify/findings.ts';
import { datasetOf } from '../../src/verify/output-file.ts';

export const FIXTURES = new URL('../../fixtures/', import.meta.url).pathname;
export const fixture = (name: string) => join(FIXTURES, name);
export const PRIMARY = ['nano_1.root', 'nano_2.root', 'nano_3.root'].map(fixture);
export const FRIENDS = {
  up: fixture('friend_jes_up.root'),
  dn: fixture('friend_jes_down.root'),
  par: fixture('friend_partial.root'),
};
/** In no order that the join knew. */
export const SOURCES = [FRIENDS.dn, PRIMARY[2]!, FRIENDS.par, PRIMARY[0]!, FRIENDS.up, PRIMARY[1]!];

export const scratch = (): string => mkdtempSync(join(tmpdir(), 'colweave-mutation-'));
const context: CommandContext = { emit: () => {}, signal: new AbortController().signal };

export async function makeOutput(output: string, options: Partial<JoinOptions> = {}): Promise<JoinReport> {
  const report = await runJoin(
    {
      primary: PRIMARY,
      friends: Object.entries(FRIENDS).map(([label, file]) => ({ label, files: [file] })),
      how: 'left',
      columns: [],
      layout: 'arrow',
      missing: { kind: 'reason' },
      schema: 'strict',
      dropUnreadable: true,
      writer: 'parquet',
      compression: 'zstd',
      dryRun: false,
      receipt: true,
      force: true,
      redo: true,
      jobs: 1,
      output,
      ...options,
    },
    context,
  );
  if ('upToDate' in report) throw new Error('every output is made anew here');
  return report;
}

export type FileReport = VerifyReport['files'][number];

export async function verify(path: string, options: Partial<VerifyOptions> = {}): Promise<FileReport> {
  const files = await verifyAll(path, options);
  return files[0]!;
}

export async function verifyAll(path: string, options: Partial<VerifyOptions> = {}): Promise<VerifyReport['files']> {
  return (await runVerify({ outputs: [path], against: [], ...options }, context)).files;
}

export const codes = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);

/** A file in memory: what a mutation changes. */
export interface Table {
  fields: Field[];
  columns: Column[];
  receipt: string | undefined;
}

/** An output to be corrupted. */
export interface Subject {
  readonly options: Partial<JoinOptions>;
  readonly table: Table;
  /** Of a skim: the join of all events, with the same columns. */
  readonly whole?: Table;
}

const DTYPE_OF: Readonly<Record<string, Dtype>> = {
  Uint8Array: 'u8',
  Int32Array: 'i32',
  Uint32Array: 'u32',
  BigInt64Array: 'i64',
  BigUint64Array: 'u64',
  Float32Array: 'f32',
  Float64Array: 'f64',
};

/** A table of flat columns, each of the type of its array. */
export function tableOf(columns: Readonly<Record<string, Values>>): Table {
  const entries = Object.entries(columns).map(([name, values]) => ({
    name,
    values,
    dtype: DTYPE_OF[values.constructor.name]!,
  }));
  return {
    fields: entries.map(({ name, dtype }) => ({ name, type: flat(dtype), nullable: false })),
    columns: entries.map(({ dtype, values }) => flatColumn(dtype, values)),
    receipt: undefined,
  };
}

export async function readTable(path: string): Promise<Table> {
  const file = await openSource(path, {});
  const { schema, rows } = file.descriptor;
  const names = schema.fields.map((field) => field.name);
  const columns = await file.read(names, 0, rows);
  await file.close();
  return {
    fields: [...schema.fields],
    columns: [...columns],
    receipt: ownReceipt(file.descriptor),
  };
}

export async function writeTable(
  path: string,
  { fields, columns, receipt }: Table,
  compression: 'zstd' | 'snappy' | 'none' = 'zstd',
): Promise<void> {
  const options = { compression } as const;
  const format = await openSink(/\.arrows?$/.test(path) ? 'arrow' : 'parquet');
  const sink = await format.open(path, { fields }, { ...options, force: true });
  await sink.append(columns[0]!.length, await format.encode(fields, columns, options));
  await sink.finish(receipt === undefined ? {} : { [RECEIPT_KEY]: receipt });
  await sink.commit();
}

export function indexOf({ fields }: Table, name: string): number {
  const index = fields.findIndex((field) => field.name === name);
  if (index < 0) throw new Error(`no column ${name}`);
  return index;
}

/** Rows of a column, in any order and number. */
export function take(column: Column, rows: readonly number[]): Column {
  const { length } = rows;
  const { valid: from } = column;
  const valid = from && Uint8Array.from(rows, (row) => from[row]!);
  if (column.kind === 'flat') {
    const values: Values = allocate(column.dtype, length);
    rows.forEach((row, i) => {
      values.set(column.values.subarray(row, row + 1) as never, i);
    });
    return { ...column, length, values, valid };
  }
  const offsets = new Int32Array(length + 1);
  const places: number[] = [];
  rows.forEach((row, i) => {
    for (let k = column.offsets[row]!; k < column.offsets[row + 1]!; k++) places.push(k);
    offsets[i + 1] = places.length;
  });
  if (column.kind === 'utf8')
    return { ...column, length, offsets, bytes: Uint8Array.from(places, (k) => column.bytes[k]!), valid };
  return { ...column, length, offsets, items: take(column.items, places), valid };
}

export const rowsOf = ({ columns }: Table): number[] => [...Array(columns[0]!.length).keys()];

/** All columns, or the named ones, with other rows. */
export function takeRows(table: Table, rows: readonly number[], names?: readonly string[]): void {
  table.columns = table.columns.map((column, i) =>
    names === undefined || names.includes(table.fields[i]!.name) ? take(column, rows) : column,
  );
}

export function exchanged(rows: readonly number[], i: number, j: number): number[] {
  const out = [...rows];
  out[i] = rows[j]!;
  out[j] = rows[i]!;
  return out;
}

/** A copy of a flat column (or of the items of a list) that may be written to. */
export function edit(table: Table, name: string, change: (column: Column) => Column): void {
  const index = indexOf(table, name);
  const column = table.columns[index]!;
  table.columns[index] = change(take(column, rowsOf(table)));
}

/** What a receipt says of the order of the rows. */
export async function orderOf(path: string): Promise<string> {
  const file = await openSource(path, {});
  const keys = await readKeys(datasetOf(file), keySpecFor('cms', file.descriptor.schema, [path]));
  await file.close();
  return sealHex(sealOrder(keyStates(keys, 0, keys.rows), 0));
}
