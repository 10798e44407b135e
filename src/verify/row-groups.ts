// Owns comparing the stored bytes of row groups with the hashes that the receipt holds.
import type { Receipt } from '../core/receipt.ts';
import { parquetRowGroups } from '../source/parquet.ts';
import type { FileDescriptor } from '../source/types.ts';
import { hashStored } from './stored-bytes.ts';

export interface RowGroupCheck {
  /** Row groups of other sizes than were written: another tool wrote the file. */
  readonly regrouped: boolean;
  /** Row groups whose bytes differ. */
  readonly changed: readonly { readonly index: number; readonly start: number; readonly end: number }[];
}

/** Of as many rows each as the receipt says? Only then are hashes worth making. */
export function isRegrouped(descriptor: FileDescriptor, { output }: Receipt): boolean {
  if (descriptor.format !== 'parquet') return false;
  const groups = parquetRowGroups(descriptor);
  return groups.length !== output.rowGroups.length || groups.some(({ rows }, i) => rows !== output.rowGroups[i]!.rows);
}

/** The same, of bytes read here. */
export async function readRowGroups(
  descriptor: FileDescriptor,
  receipt: Receipt,
  signal: AbortSignal,
): Promise<RowGroupCheck> {
  const regrouped = isRegrouped(descriptor, receipt);
  const hashes = new Map<number, string>();
  const groups = descriptor.format !== 'parquet' || regrouped ? [] : parquetRowGroups(descriptor);
  for (const [index, { chunks }] of groups.entries()) {
    const stored = chunks.map(({ start, bytes }) => ({ offset: start, length: bytes }));
    hashes.set(index, await hashStored(descriptor.uri, stored, signal));
  }
  return checkRowGroups(descriptor, receipt, regrouped, hashes);
}

/** `hashes`: sha256 of a row group over the bytes of its column chunks, pages with their headers, in schema order. */
export function checkRowGroups(
  descriptor: FileDescriptor,
  { output }: Receipt,
  regrouped: boolean,
  hashes: ReadonlyMap<number, string>,
): RowGroupCheck {
  if (descriptor.format !== 'parquet' || regrouped) return { regrouped, changed: [] };
  const changed = parquetRowGroups(descriptor).flatMap(({ rowStart: start, rows }, index) =>
    hashes.get(index) === output.rowGroups[index]!.sha256 ? [] : [{ index, start, end: start + rows }],
  );
  return { regrouped, changed };
}
