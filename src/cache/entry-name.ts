// Owns what an entry is of: a column of a file by the file's identity, never by its name; and where the entry lies.
import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { FileIdentity } from '../core/receipt.ts';
import { type CacheAccess, partOf } from './place.ts';

/** Goes into the name of the entry, with the version of the format: another version reads none of this one's. */
export interface ColumnKey {
  readonly format: 'column/1';
  readonly size: number;
  readonly id: string;
  readonly tree: string;
  readonly entries: number;
  readonly column: string;
}

export function columnKey({ size, id, tree = '', entries }: FileIdentity, column: string): ColumnKey {
  return { format: 'column/1', size, id, tree, entries, column };
}

export const entryName = (key: ColumnKey): string => hash('sha256', JSON.stringify(key), 'hex');

/** 256 folders, so that none has too many files. */
export function entryPath(access: Pick<CacheAccess, 'folder'>, name: string): string {
  return join(partOf(access, 'columns'), name.slice(0, 2), `${name}.col`);
}
