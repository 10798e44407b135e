// Owns comparing a source file with what make.py says that it holds.
import { join } from 'node:path';
import { expect } from 'vitest';
import { typeName } from '../../../src/core/schema.ts';
import type { SourceFile, SourceFormat } from '../../../src/source/types.ts';
import { type Expected, FIXTURES, plainRows } from './expected.ts';

export async function withFixture<T>(
  format: SourceFormat,
  name: string,
  use: (file: SourceFile) => T | Promise<T>,
): Promise<T> {
  const file = await format.open(join(FIXTURES, name), {});
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** Every column, whole and in ranges of rows that begin and end anywhere. */
export async function expectWhole(format: SourceFormat, name: string, expected: Expected): Promise<void> {
  const { rows, columns, unreadable } = expected.files[name]!;
  await withFixture(format, name, async (file) => {
    const { fields } = file.descriptor.schema;
    const names = fields.map((field) => field.name);
    expect(file.descriptor.rows).toBe(rows);
    expect(file.unreadable.map((column) => column.name).sort()).toEqual(unreadable);
    expect([...names].sort()).toEqual(Object.keys(columns).sort());
    for (const [start, end] of rangesOf(rows)) {
      const read = await file.read(names, start, end);
      for (const [i, field] of fields.entries()) {
        const wanted = columns[field.name]!;
        const type = typeName(field.type).replaceAll('list<', '').replaceAll('>', '[]');
        expect(type, field.name).toBe(wanted.type);
        expect(plainRows(read[i]!), `${field.name} ${start}..${end}`).toEqual(
          expected.values[wanted.values]!.slice(start, end),
        );
        expect(read[i]!.length).toBe(end - start);
        if (read[i]!.valid !== undefined) expect(field.nullable, field.name).toBe(true);
      }
    }
  });
}

function rangesOf(rows: number): [number, number][] {
  const third = Math.floor(rows / 3);
  return [
    [0, rows],
    [0, Math.min(1, rows)],
    [third, rows - third],
    [rows - Math.min(1, rows), rows],
    [Math.min(rows, third + 1), Math.min(rows, third + 2)],
    [third, third],
  ];
}
