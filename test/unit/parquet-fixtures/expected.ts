// Owns what make.py says that its files hold, and columns in the same form: 64-bit integers as text, floats as their bits.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Column } from '../../../src/core/column.ts';
import { bitsOf } from '../../../src/core/dtype.ts';

export type Plain = null | number | string | readonly Plain[];

export interface ExpectedFile {
  readonly rows: number;
  /** `type` as item type and a `[]` for each list around it; `values` by number. */
  readonly columns: Readonly<Record<string, { readonly type: string; readonly values: number }>>;
  readonly unreadable: readonly string[];
}

export interface Expected {
  readonly files: Readonly<Record<string, ExpectedFile>>;
  readonly values: readonly (readonly Plain[])[];
}

export const FIXTURES = import.meta.dirname;

export function expectedIn(directory: string): Expected {
  return JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8')) as Expected;
}

/** The rows of a column as plain values. */
export function plainRows(column: Column): Plain[] {
  const there = (i: number) => column.valid === undefined || column.valid[i] === 1;
  const rows = <T extends Plain>(value: (i: number) => T) =>
    Array.from({ length: column.length }, (_, i) => (there(i) ? value(i) : null));
  if (column.kind === 'flat') {
    const values = column.dtype.startsWith('f') ? bitsOf(column.values) : column.values;
    return rows((i) => (typeof values[i] === 'bigint' ? values[i].toString() : values[i]!));
  }
  const { offsets } = column;
  if (column.kind === 'utf8') {
    return rows((i) => Buffer.from(column.bytes.subarray(offsets[i], offsets[i + 1])).toString());
  }
  const items = plainRows(column.items);
  return rows((i) => items.slice(offsets[i], offsets[i + 1]));
}
