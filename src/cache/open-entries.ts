// Owns the entries of one file that a reader has open: which columns are there, and their rows side by side.
import type { Column } from '../core/column.ts';
import type { FileIdentity } from '../core/receipt.ts';
import { DamagedEntry, type EntryReader } from './column-entry.ts';
import { findEntry, setAside } from './entries.ts';
import { columnKey, entryName } from './entry-name.ts';
import type { CacheAccess } from './place.ts';

/** One that is damaged again and again is not worth fetching: the disk is damaged. */
const DAMAGED_MAX = 3;

export interface OpenEntries {
  /** Opens what is there; gives the names of what is not. */
  missing(names: readonly string[]): string[];
  /** Not those that were found damaged too often, or cannot be set aside. */
  worthFilling(names: readonly string[]): string[];
  /**
   * Columns that are there, and are whole; lists of equal lengths share one `offsets`, as those that come from one file do.
   * What is found damaged is set aside, and missing from then on.
   */
  read(names: readonly string[], rowStart: number, rowEnd: number): ReadonlyMap<string, Column>;
  forget(): void;
  close(): void;
}

export function openEntries(access: CacheAccess, identity: FileIdentity): OpenEntries {
  const readers = new Map<string, EntryReader>();
  const faults = new Map<string, number>();
  const worth = (name: string) => (faults.get(name) ?? 0) < (access.writable ? DAMAGED_MAX : 1);
  const refuse = (name: string) => {
    readers.get(name)?.close();
    readers.delete(name);
    faults.set(name, (faults.get(name) ?? 0) + 1);
    setAside(access, entryName(columnKey(identity, name)));
  };
  return {
    missing: (names) =>
      names.filter((name) => {
        if (readers.has(name)) return false;
        const reader = worth(name) ? findEntry(access, columnKey(identity, name)) : undefined;
        if (reader !== undefined) readers.set(name, reader);
        return reader === undefined;
      }),
    worthFilling: (names) => names.filter(worth),
    read(names, rowStart, rowEnd) {
      const columns = new Map<string, Column>();
      const known = new Map<string, Int32Array>();
      for (const name of names) {
        const reader = readers.get(name);
        const column = reader === undefined ? undefined : wholeRows(reader, rowStart, rowEnd);
        if (column !== undefined) columns.set(name, sharing(column, reader!.lengthsOf(rowStart, rowEnd), known));
        else if (reader !== undefined) refuse(name);
      }
      return columns;
    },
    forget() {
      for (const reader of readers.values()) reader.forget();
    },
    close() {
      for (const reader of readers.values()) reader.close();
      readers.clear();
    },
  };
}

function wholeRows(reader: EntryReader, rowStart: number, rowEnd: number): Column | undefined {
  try {
    return reader.read(rowStart, rowEnd);
  } catch (error) {
    if (error instanceof DamagedEntry) return undefined;
    throw error;
  }
}

function sharing(column: Column, lengths: string | undefined, known: Map<string, Int32Array>): Column {
  if (column.kind !== 'list' || lengths === undefined) return column;
  const offsets = known.get(lengths);
  if (offsets !== undefined) return { ...column, offsets };
  known.set(lengths, column.offsets);
  return column;
}
