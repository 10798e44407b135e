// Owns reading a file's columns through the cache: those that are there from there, the others from the file, once.
import { isRemote } from '../bytes/remote.ts';
import { DamagedEntry, type EntryReader } from '../cache/column-entry.ts';
import { fillColumns, findEntry, setAside } from '../cache/entries.ts';
import { columnKey, entryName, withoutSecrets } from '../cache/entry-name.ts';
import { note } from '../cache/jobs.ts';
import type { CacheAccess } from '../cache/place.ts';
import { type FileRef, readRef, writeRef } from '../cache/refs.ts';
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { fieldNamed } from '../core/schema.ts';
import type { FileDescriptor, SourceFile } from './types.ts';

export const CACHED = 'cached';

/** What a descriptor of a file behind a cache holds. */
export interface CachedLayout {
  readonly access: CacheAccess;
  /** The file itself; absent = its server was not asked, or did not answer. */
  readonly inner?: FileDescriptor;
}

type Reopen = (descriptor: FileDescriptor) => Promise<SourceFile>;

/** Entries that are damaged are fetched again, but not for ever: then the disk is. */
const ATTEMPTS_MAX = 3;

/**
 * A local file stays as it is unless `access` is for those too. What the file's metadata say is kept, and used where the
 * server is not asked, or does not answer. Errors: those of opening, cache/offline-miss.
 */
export async function openCached(
  uri: string,
  tree: string | undefined,
  access: CacheAccess,
  { direct, reopen }: { readonly direct: () => Promise<SourceFile>; readonly reopen: Reopen },
): Promise<SourceFile> {
  if (!access.always && !isRemote(uri)) return direct();
  if (access.offline) return fromRef(uri, tree, access, undefined, reopen);
  let file: SourceFile;
  try {
    file = await direct();
  } catch (error) {
    // 75: whoever is asked does not answer; anything else is an answer
    if (!(error instanceof ColweaveError) || error.exit !== 75) throw error;
    return fromRef(uri, tree, access, error, reopen);
  }
  try {
    keepRef(file, uri, tree, access);
  } catch (error) {
    if (!isUnusable(error)) {
      await file.close();
      throw error;
    }
  }
  return throughCache(file.descriptor, { access, inner: file.descriptor }, reopen, file);
}

/** In a worker, or again: the file itself is opened when a column is not in the cache. */
export async function reopenCached(
  descriptor: FileDescriptor,
  layout: CachedLayout,
  reopen: Reopen,
): Promise<SourceFile> {
  return throughCache(descriptor, layout, reopen);
}

const isUnusable = (error: unknown): boolean => error instanceof ColweaveError && error.code === 'cache/unusable';

function keepRef(file: SourceFile, uri: string, tree: string | undefined, access: CacheAccess): void {
  if (!access.writable) return;
  const { rows, schema, identity } = file.descriptor;
  const sizes = Object.fromEntries(
    schema.fields.map(({ name }) => [name, [file.bytesOf([name]), file.rawBytesOf([name])] as const]),
  );
  const { unreadable, redundant } = file;
  writeRef(access, { uri, tree: tree ?? '', rows, schema, identity, unreadable, redundant, sizes });
}

function fromRef(
  uri: string,
  tree: string | undefined,
  access: CacheAccess,
  cause: ColweaveError | undefined,
  reopen: Reopen,
): SourceFile {
  const ref = readRef(access, uri, tree);
  if (ref === undefined) {
    const why = cause === undefined ? 'no server may be asked' : `its server does not answer: ${cause.message}`;
    throw new ColweaveError('cache/offline-miss', `the cache has not seen this file, and ${why}`, {
      where: [withoutSecrets(uri), ...(tree === undefined ? [] : [tree])],
      cause,
    });
  }
  note(access, 'offline', `${ref.seen} ${withoutSecrets(uri)}`);
  const { rows, schema, identity } = ref;
  const descriptor: FileDescriptor = { format: CACHED, uri, rows, schema, identity, layout: undefined };
  return throughCache(descriptor, { access }, reopen, undefined, ref);
}

function throughCache(
  about: FileDescriptor,
  layout: CachedLayout,
  reopen: Reopen,
  opened?: SourceFile,
  ref?: FileRef,
): SourceFile {
  const { access } = layout;
  const { uri, rows, schema, identity } = about;
  const descriptor: FileDescriptor = { format: CACHED, uri, rows, schema, identity, layout };
  const entries = new Map<string, EntryReader>();
  let file = opened;
  let opening: Promise<SourceFile> | undefined;
  const sizeOf = (names: readonly string[], which: 0 | 1) =>
    names.reduce((sum, name) => sum + (ref?.sizes[name]?.[which] ?? 0), 0);

  const original = async (missing: readonly string[]): Promise<SourceFile> => {
    if (layout.inner === undefined) throw offlineMiss(uri, missing);
    opening ??= file === undefined ? reopen(layout.inner) : Promise.resolve(file);
    file = await opening;
    return file;
  };
  const find = (names: readonly string[]): string[] =>
    names.filter((name) => {
      if (entries.has(name)) return false;
      const reader = findEntry(access, columnKey(identity, name));
      if (reader !== undefined) entries.set(name, reader);
      return reader === undefined;
    });
  const fill = async (missing: readonly string[], signal?: AbortSignal) => {
    const inner = await original(missing);
    const wanted = missing.map((name) => {
      const field = fieldNamed(schema, name);
      invariant(field !== undefined, `column ${name} is in the file`);
      return { key: columnKey(identity, name), field, rawBytes: inner.rawBytesOf([name]) };
    });
    const read: SourceFile['read'] = (names, start, end) => inner.read(names, start, end, signal);
    await fillColumns(access, wanted, { uri, rows, read }, signal);
    inner.forget?.();
  };
  const drop = (name: string) => {
    entries.get(name)?.close();
    entries.delete(name);
  };

  const readThrough = async (names: readonly string[], start: number, end: number, signal?: AbortSignal) => {
    for (let attempt = 1; ; attempt++) {
      const missing = find(names.filter((name) => fieldNamed(schema, name) !== undefined));
      if (missing.length > 0) {
        await fill(missing, signal);
        if (find(missing).length > 0) throw unusable(access, 'an entry went as soon as it was there');
      }
      const { columns, damaged } = readTogether(names, entries, start, end);
      if (damaged === undefined) return columns;
      drop(damaged);
      setAside(access, entryName(columnKey(identity, damaged)));
      if (attempt === ATTEMPTS_MAX || !access.writable)
        throw unusable(access, 'entries are damaged as soon as they are written');
    }
  };

  return {
    descriptor,
    unreadable: ref?.unreadable ?? opened?.unreadable ?? [],
    redundant: ref?.redundant ?? opened?.redundant ?? [],
    bytesOf: (names) => opened?.bytesOf(names) ?? sizeOf(names, 0),
    rawBytesOf: (names) => opened?.rawBytesOf(names) ?? sizeOf(names, 1),
    ...(opened?.storageOf === undefined ? {} : { storageOf: (name: string) => opened.storageOf!(name) }),
    ...(opened?.objects === undefined ? {} : { objects: () => opened.objects!() }),
    async read(names, rowStart, rowEnd, signal, take, needed) {
      const known = names.every((name) => fieldNamed(schema, name) !== undefined);
      try {
        // an unknown name gets the error that the file itself gives
        if (known) return await readThrough(names, rowStart, rowEnd, signal);
      } catch (error) {
        if (!isUnusable(error)) throw error;
      }
      // the cache cannot be used: the file can
      return (await original(names)).read(names, rowStart, rowEnd, signal, take, needed);
    },
    forget() {
      for (const reader of entries.values()) reader.forget();
      file?.forget?.();
    },
    async close() {
      for (const reader of entries.values()) reader.close();
      entries.clear();
      await (file ?? (await opening?.catch(() => undefined)))?.close();
    },
  };
}

function offlineMiss(uri: string, missing: readonly string[]): ColweaveError {
  const [first, ...others] = missing;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return new ColweaveError(
    'cache/offline-miss',
    `column "${first}"${more} is not in the cache, and its server is not asked`,
    {
      where: [withoutSecrets(uri)],
    },
  );
}

const unusable = ({ folder }: CacheAccess, message: string) =>
  new ColweaveError('cache/unusable', message, { where: [folder] });

interface ReadTogether {
  readonly columns: readonly Column[];
  /** The first column whose entry is not what was written. */
  readonly damaged?: string;
}

/** Lists of equal lengths share one `offsets`, as those that come from one file do. */
function readTogether(
  names: readonly string[],
  entries: ReadonlyMap<string, EntryReader>,
  start: number,
  end: number,
): ReadTogether {
  const known = new Map<string, Int32Array>();
  const columns: Column[] = [];
  for (const name of names) {
    const reader = entries.get(name)!;
    let column: Column;
    try {
      column = reader.read(start, end);
    } catch (error) {
      if (error instanceof DamagedEntry) return { columns, damaged: name };
      throw error;
    }
    const lengths = column.kind === 'list' ? reader.lengthsOf(start, end) : undefined;
    if (column.kind === 'list' && lengths !== undefined) {
      const shared = known.get(lengths);
      if (shared === undefined) known.set(lengths, column.offsets);
      else column = { ...column, offsets: shared };
    }
    columns.push(column);
  }
  return { columns };
}
