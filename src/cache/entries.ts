// Owns getting columns into the cache: what is absent is fetched once, by whoever gets its lock; the others wait for it.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { invariant } from '../core/check.ts';
import { type Column, sliceColumn } from '../core/column.ts';
import type { Field } from '../core/schema.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { CHUNK_ROWS, DamagedEntry, type EntryReader, type EntryWriter, openEntry, writeEntry } from './column-entry.ts';
import { type ColumnKey, entryName, entryPath } from './entry-name.ts';
import { note } from './jobs.ts';
import { LOCK_BEAT_MS, type Lock, tryLock } from './lock.ts';
import { type CacheAccess, type NewFile, newFile, partOf, uniqueName } from './place.ts';

/** Decompressed bytes that one transfer reads at a time, so that a store can join its ranges; the next as many are under way. */
const STEP_BYTES = 24 * 2 ** 20;
/** Columns of one transfer: each one is an open file. */
const COLUMNS_MAX = 200;
/** How long to wait for another job's transfer before looking again. */
const WAIT_MS = { first: 10, most: 500 };

export interface WantedColumn {
  readonly key: ColumnKey;
  readonly field: Field;
  /** Decompressed, all rows. */
  readonly rawBytes: number;
}

/** Where columns come from. */
export interface ColumnOrigin {
  readonly uri: string;
  readonly rows: number;
  read(names: readonly string[], rowStart: number, rowEnd: number, signal?: AbortSignal): Promise<readonly Column[]>;
  askAhead?(names: readonly string[], rowStart: number, rowEnd: number): void;
}

/** The entry, open; undefined where there is none. One that is damaged is set aside, counted, and none. */
export function findEntry(access: CacheAccess, key: ColumnKey): EntryReader | undefined {
  const name = entryName(key);
  try {
    const reader = openEntry(entryPath(access, name), key);
    if (reader !== undefined) note(access, 'use', name);
    return reader;
  } catch (error) {
    if (!(error instanceof DamagedEntry)) throw error;
    setAside(access, name);
    return undefined;
  }
}

/** Nobody finds it any more; it stays below damaged/ for a look, until gc. */
export function setAside(access: CacheAccess, name: string): void {
  note(access, 'damaged', name);
  if (!access.writable) return;
  try {
    renameSync(entryPath(access, name), join(partOf(access, 'damaged'), uniqueName(name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // another job was faster
  }
}

/**
 * Afterwards each column has an entry, which this call wrote or another job did. Never waits while it holds a lock.
 * Errors: those of reading, cache/unusable.
 */
export async function fillColumns(
  access: CacheAccess,
  wanted: readonly WantedColumn[],
  origin: ColumnOrigin,
  signal?: AbortSignal,
): Promise<void> {
  let left = wanted;
  for (let wait = WAIT_MS.first; left.length > 0; ) {
    signal?.throwIfAborted();
    const held = lockSome(access, left, origin.rows);
    try {
      if (held.size > 0) await transfer(access, held, origin, signal);
    } finally {
      for (const lock of held.values()) lock.release();
    }
    left = left.filter((column) => !held.has(column) && !isThere(access, column.key));
    if (held.size > 0) wait = WAIT_MS.first;
    else if (left.length > 0) {
      await sleep(wait, undefined, signal === undefined ? {} : { signal });
      wait = Math.min(WAIT_MS.most, wait * 2);
    }
  }
}

function isThere(access: CacheAccess, key: ColumnKey): boolean {
  const reader = findEntry(access, key);
  reader?.close();
  return reader !== undefined;
}

/** As many columns as one transfer takes, of those that nobody else is fetching. */
function lockSome(access: CacheAccess, wanted: readonly WantedColumn[], rows: number): Map<WantedColumn, Lock> {
  const held = new Map<WantedColumn, Lock>();
  let bytes = 0;
  for (const column of wanted) {
    const share = (column.rawBytes * Math.min(rows, CHUNK_ROWS)) / Math.max(1, rows);
    if (held.size > 0 && (bytes + share > STEP_BYTES || held.size === COLUMNS_MAX)) break;
    const lock = tryLock(access, entryName(column.key));
    if (lock === undefined) continue;
    // it may have come while we asked for the lock
    if (isThere(access, column.key)) {
      lock.release();
      continue;
    }
    held.set(column, lock);
    bytes += share;
  }
  return held;
}

async function transfer(
  access: CacheAccess,
  held: ReadonlyMap<WantedColumn, Lock>,
  origin: ColumnOrigin,
  signal?: AbortSignal,
): Promise<void> {
  const beat = setInterval(() => {
    for (const lock of held.values()) lock.beat();
  }, LOCK_BEAT_MS);
  const writing: { readonly name: string; readonly file: NewFile; readonly writer: EntryWriter }[] = [];
  try {
    for (const { key, field } of held.keys()) {
      const name = entryName(key);
      const file = newFile(access, name);
      const writer = writeEntry(file, { key, uri: withoutSecrets(origin.uri), field, rows: origin.rows });
      writing.push({ name, file, writer });
    }
    const columns = [...held.keys()];
    const step = stepRows(columns, origin.rows);
    const names = columns.map(({ key }) => key.column);
    for (let start = 0; start < origin.rows; start += step) {
      const end = Math.min(origin.rows, start + step);
      const read = await origin.read(names, start, end, signal);
      if (end < origin.rows) origin.askAhead?.(names, end, Math.min(origin.rows, end + step));
      for (const [i, { writer }] of writing.entries()) addChunks(writer, read[i]!, end - start);
    }
    for (const { name, file, writer } of writing) {
      const bytes = writer.finish();
      file.publish(entryPath(access, name));
      note(access, 'add', `${name} ${bytes}`);
    }
  } catch (error) {
    for (const { file } of writing) file.abandon();
    throw error;
  } finally {
    clearInterval(beat);
  }
}

function stepRows(columns: readonly WantedColumn[], rows: number): number {
  const perRow = columns.reduce((sum, { rawBytes }) => sum + rawBytes, 0) / Math.max(1, rows);
  return CHUNK_ROWS * Math.max(1, Math.floor(STEP_BYTES / Math.max(1, perRow * CHUNK_ROWS)));
}

function addChunks(writer: EntryWriter, column: Column, rows: number): void {
  invariant(column.length === rows, 'as many rows as asked for');
  for (let at = 0; at < rows; at += CHUNK_ROWS) writer.add(sliceColumn(column, at, Math.min(rows, at + CHUNK_ROWS)));
}
