// Owns comparing the stored bytes of row groups with the hashes that the receipt holds.
import { createHash } from 'node:crypto';
import { openStore } from '../bytes/open.ts';
import type { Receipt } from '../core/receipt.ts';
import { parquetRowGroups } from '../source/parquet.ts';
import type { FileDescriptor } from '../source/types.ts';

export interface RowGroupCheck {
  /** Row groups of other sizes than were written: another tool wrote the file. */
  readonly regrouped: boolean;
  /** Row groups whose bytes differ. */
  readonly changed: readonly { readonly index: number; readonly start: number; readonly end: number }[];
}

/** sha256 of a row group is over the bytes of its column chunks, pages with their headers, in schema order. */
export async function checkRowGroups(
  descriptor: FileDescriptor,
  { output }: Receipt,
  signal: AbortSignal,
): Promise<RowGroupCheck> {
  if (descriptor.format !== 'parquet') return { regrouped: false, changed: [] };
  const groups = parquetRowGroups(descriptor);
  const regrouped =
    groups.length !== output.rowGroups.length || groups.some(({ rows }, i) => rows !== output.rowGroups[i]!.rows);
  if (regrouped) return { regrouped, changed: [] };
  const store = await openStore(descriptor.uri);
  try {
    const changed: { index: number; start: number; end: number }[] = [];
    for (const [index, { rowStart, rows, chunks }] of groups.entries()) {
      const hash = createHash('sha256');
      for (const { start, bytes } of chunks) {
        const [stored] = await store.read([{ offset: start, length: bytes }], signal);
        hash.update(stored!);
      }
      if (hash.digest('hex') !== output.rowGroups[index]!.sha256)
        changed.push({ index, start: rowStart, end: rowStart + rows });
    }
    return { regrouped, changed };
  } finally {
    await store.close();
  }
}
