// Owns looking after a cache: what is in it, whether it is what was written, and making room.
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DamagedEntry, openEntry } from './column-entry.ts';
import { setAside } from './entries.ts';
import { entryName } from './entry-name.ts';
import { readUse } from './jobs.ts';
import { isStale, tryLock } from './lock.ts';
import { type CacheAccess, type CachePart, partOf } from './place.ts';
import { parseRef } from './refs.ts';

/** Columns of one tree of one file, of all that are cached. */
export interface CachedFile {
  readonly uri: string;
  readonly tree: string;
  readonly rows: number;
  readonly bytes: number;
  readonly columns: readonly string[];
  /** ISO 8601, of the column used last. */
  readonly used: string;
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** When it was used last, else written (ms). */
  readonly used: number;
}

function* filesIn(folder: string): Generator<string> {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, item.name);
    if (item.isDirectory()) yield* filesIn(path);
    else if (item.isFile()) yield path;
  }
}

function entriesOf(access: CacheAccess, last: ReadonlyMap<string, number>): Entry[] {
  const entries: Entry[] = [];
  for (const path of filesIn(partOf(access, 'columns'))) {
    const name = /([0-9a-f]{64})\.col$/.exec(path)?.[1];
    const status = statSync(path, { throwIfNoEntry: false });
    if (name === undefined || status === undefined) continue;
    entries.push({ name, path, bytes: status.size, used: Math.max(status.mtimeMs, last.get(name) ?? 0) });
  }
  return entries;
}

/** By file, those used last first. Entries that cannot be read are left out: that is what a check is for. */
export function listCache(access: CacheAccess): CachedFile[] {
  const files = new Map<string, CachedFile>();
  const { last } = readUse(access);
  for (const { path, bytes, used } of entriesOf(access, last)) {
    const footer = footerOf(path);
    if (footer === undefined) continue;
    const { uri, key, rows } = footer;
    const { id, tree } = key;
    const before = files.get(`${id} ${tree} ${uri}`);
    const time = new Date(used).toISOString();
    files.set(`${id} ${tree} ${uri}`, {
      uri,
      tree,
      rows,
      bytes: bytes + (before?.bytes ?? 0),
      columns: [...(before?.columns ?? []), key.column].sort(),
      used: before === undefined || before.used < time ? time : before.used,
    });
  }
  return [...files.values()].sort((left, right) =>
    left.used < right.used ? 1 : left.used > right.used ? -1 : left.uri < right.uri ? -1 : 1,
  );
}

function footerOf(path: string) {
  try {
    const reader = openEntry(path);
    reader?.close();
    return reader?.footer;
  } catch (error) {
    if (error instanceof DamagedEntry) return undefined;
    throw error;
  }
}

export interface CacheCheck {
  readonly entries: number;
  readonly bytes: number;
  /** Entries set aside, and why. */
  readonly damaged: readonly { readonly name: string; readonly why: string }[];
  readonly badRefs: number;
}

/** Reads every byte of every entry; those that are not what was written are set aside. */
export function checkCache(
  access: CacheAccess,
  told: (done: number, total: number) => void,
  signal: AbortSignal,
): CacheCheck {
  const entries = entriesOf(access, new Map());
  const damaged: { readonly name: string; readonly why: string }[] = [];
  let bytes = 0;
  for (const [done, entry] of entries.entries()) {
    signal.throwIfAborted();
    told(done, entries.length);
    const why = faultOf(entry);
    bytes += entry.bytes;
    if (why === undefined) continue;
    damaged.push({ name: entry.name, why });
    setAside(access, entry.name);
  }
  let badRefs = 0;
  for (const path of filesIn(partOf(access, 'refs'))) {
    if (parseRef(path) !== undefined) continue;
    badRefs++;
    if (access.writable) rmSync(path, { force: true });
  }
  return { entries: entries.length, bytes, damaged, badRefs };
}

function faultOf({ path, name }: Entry): string | undefined {
  try {
    const reader = openEntry(path);
    if (reader === undefined) return undefined; // gone meanwhile
    try {
      if (entryName(reader.footer.key) !== name) return 'it is the entry of another column';
      reader.check();
      return undefined;
    } finally {
      reader.close();
    }
  } catch (error) {
    if (error instanceof DamagedEntry) return error.message;
    throw error;
  }
}

export interface GcLimits {
  /** Entries used longest ago go until the rest is no more. */
  readonly bytesMax?: number;
  /** Entries not used for longer go. */
  readonly ageMaxMs?: number;
}
export interface CacheGc {
  readonly removed: number;
  readonly removedBytes: number;
  readonly kept: number;
  readonly keptBytes: number;
  /** Entries that would have gone, but a running job uses them. */
  readonly inUse: number;
  readonly runningJobs: number;
  /** What dead jobs left behind, damaged entries, and refs of files that no limit keeps. */
  readonly litter: number;
}

/** What a running job logged is left alone; the logs are read again before anything is removed. */
export function collectGarbage(access: CacheAccess, { bytesMax, ageMaxMs }: GcLimits, now = Date.now()): CacheGc {
  const before = readUse(access);
  const oldest = ageMaxMs === undefined ? Number.NEGATIVE_INFINITY : now - ageMaxMs;
  const entries = entriesOf(access, before.last).sort((left, right) => right.used - left.used);
  const doomed: Entry[] = [];
  let kept = 0;
  for (const entry of entries) {
    const stays = entry.used >= oldest && (bytesMax === undefined || kept + entry.bytes <= bytesMax);
    if (stays) kept += entry.bytes;
    else doomed.push(entry);
  }
  const { inUse, runningJobs } = readUse(access, true);
  const going = doomed.filter(({ name }) => !inUse.has(name));
  for (const { path } of going) rmSync(path, { force: true });
  const removedBytes = going.reduce((sum, { bytes }) => sum + bytes, 0);
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    removed: going.length,
    removedBytes,
    kept: entries.length - going.length,
    keptBytes: total - removedBytes,
    inUse: doomed.length - going.length,
    runningJobs,
    litter: sweep(access, oldest),
  };
}

/** A transfer may take long, but not this long without the lock's beat. */
const LITTER_MS = 24 * 60 * 60_000;

function sweep(access: CacheAccess, oldest: number): number {
  let count = 0;
  const remove = (part: CachePart, isLitter: (path: string, modified: number) => boolean) => {
    for (const path of filesIn(partOf(access, part))) {
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined || !isLitter(path, status.mtimeMs)) continue;
      rmSync(path, { force: true });
      count++;
    }
  };
  remove('tmp', (path, modified) => isAbandoned(access, path, modified));
  remove('locks', (path) => isStale(path) && releaseStale(access, path));
  remove('damaged', () => true);
  remove('refs', (_path, modified) => modified < oldest);
  return count;
}

/** The entry that was being written has no lock any more: its writer is dead. */
function isAbandoned(access: CacheAccess, path: string, modified: number): boolean {
  const name = /([0-9a-f]{64})\.[^/]*$/.exec(path)?.[1];
  if (name === undefined) return Date.now() - modified > LITTER_MS;
  const lock = tryLock(access, name);
  lock?.release();
  return lock !== undefined;
}

/** By the way that is safe beside others who find it stale too. */
function releaseStale(access: CacheAccess, path: string): boolean {
  const name = /([^/]+)\.lock$/.exec(path)?.[1];
  if (name === undefined) return false;
  tryLock(access, name)?.release();
  return false;
}
