// Owns what tests of readers share: opening a fixture, and the sums of columns that root-digests.json and its like hold.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Column, concatColumns } from '../../src/core/column.ts';
import { bytesOf } from '../../src/core/dtype.ts';
import { openSource } from '../../src/source/registry.ts';
import type { SourceFile } from '../../src/source/types.ts';

export const fixture = (name: string) => `fixtures/${name}`;

/** Per file, the sum of each column. */
export type Digests = Record<string, Record<string, string>>;

export function readDigests(name: string): Digests {
  return (JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as { files: Digests }).files;
}

export async function withSource<T>(name: string, work: (source: SourceFile) => Promise<T>, tree?: string): Promise<T> {
  const source = await openSource(fixture(name), tree === undefined ? {} : { tree });
  try {
    return await work(source);
  } finally {
    await source.close();
  }
}

/** Offsets of each level, then the values, then validity where the column can miss. */
function digest(column: Column, nullable: boolean): string {
  const hash = createHash('sha256');
  let inner = column;
  for (; inner.kind === 'list'; inner = inner.items) hash.update(bytesOf(inner.offsets));
  if (inner.kind === 'utf8') hash.update(bytesOf(inner.offsets)).update(inner.bytes);
  else hash.update(bytesOf(inner.values));
  if (nullable) hash.update(column.valid ?? new Uint8Array(column.length).fill(1));
  return hash.digest('hex').slice(0, 16);
}

/** Of every column, read in chunks. */
export async function digests(
  source: SourceFile,
  chunkRows = Number.POSITIVE_INFINITY,
): Promise<Record<string, string>> {
  const { schema, rows } = source.descriptor;
  const names = schema.fields.map(({ name }) => name);
  const parts: Column[][] = names.map(() => []);
  for (let start = 0; start < rows; start += chunkRows) {
    const columns = await source.read(names, start, Math.min(rows, start + chunkRows));
    columns.forEach((column, i) => {
      parts[i]!.push(column);
    });
  }
  return Object.fromEntries(
    schema.fields.map(({ name, type, nullable }, i) => [name, digest(concatColumns(type, parts[i]!), nullable)]),
  );
}
