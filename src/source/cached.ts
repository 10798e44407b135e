// Owns reading a file's columns through the cache: those that are there from there, the others from the file, once.
import { isRemote } from '../bytes/remote.ts';
import { fillColumns } from '../cache/entries.ts';
import { columnKey } from '../cache/entry-name.ts';
import { note } from '../cache/jobs.ts';
import { openEntries } from '../cache/open-entries.ts';
import type { CacheAccess } from '../cache/place.ts';
import { type FileRef, readRef, writeRef } from '../cache/refs.ts';
import { invariant } from '../core/check.ts';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { fieldNamed } from '../core/schema.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { CACHED, ownReceipt } from './own-metadata.ts';
import type { CachedLayout, FileDescriptor, SourceFile } from './types.ts';

/** Whoever is asked does not answer; anything else is an answer. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['remote/unreachable', 'remote/timeout', 'remote/busy']);

export const isNoAnswer = (error: unknown): error is ColweaveError =>
  error instanceof ColweaveError && NO_ANSWER.has(error.code);

type Reopen = (descriptor: FileDescriptor) => Promise<SourceFile>;

/**
 * A local file stays as it is unless `access` is for those too. What the file's metadata say is kept, and used where the
 * server is not asked, or does not answer. Errors: those of opening, cache/offline-miss.
 */
export async function openCached(
  uri: string,
  tree: string | undefined,
  access: CacheAccess,
  {
    direct,
    reopen,
    mustAnswer = false,
  }: { readonly direct: () => Promise<SourceFile>; readonly reopen: Reopen; readonly mustAnswer?: boolean },
): Promise<SourceFile> {
  if (!access.always && !isRemote(uri)) return direct();
  if (access.offline) return fromRef(uri, tree, access, undefined, reopen);
  let file: SourceFile;
  try {
    file = await direct();
  } catch (error) {
    if (mustAnswer || !isNoAnswer(error)) throw error;
    return fromRef(uri, tree, access, error, reopen);
  }
  try {
    await keepRef(file, uri, tree, access);
  } catch (error) {
    if (!isUnusable(error)) {
      await file.close();
      throw error;
    }
  }
  const { descriptor: inner } = file;
  const receipt = ownReceipt(inner);
  const layout = { access, inner, ownFormat: inner.format, ...(receipt === undefined ? {} : { receipt }) };
  return throughCache(inner, layout, reopen, file);
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

async function keepRef(file: SourceFile, uri: string, tree: string | undefined, access: CacheAccess): Promise<void> {
  if (!access.writable) return;
  const { rows, schema, identity } = file.descriptor;
  const sizes = Object.fromEntries(
    schema.fields.map(({ name }) => [name, [file.bytesOf([name]), file.rawBytesOf([name])] as const]),
  );
  const { unreadable, redundant } = file;
  const objects = await file.objects?.().catch(nothingIfUnreadable);
  const receipt = ownReceipt(file.descriptor);
  const about = {
    ownFormat: file.descriptor.format,
    ...(objects === undefined ? {} : { objects }),
    ...(receipt === undefined ? {} : { receipt }),
  };
  // asked for by its name, the only tree is the same
  for (const name of new Set([tree ?? '', identity.tree ?? ''])) {
    writeRef(access, { uri, tree: name, rows, schema, identity, unreadable, redundant, sizes, ...about });
  }
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
    throw new ColweaveError('cache/offline-miss', 'nothing cached', {
      where: [withoutSecrets(uri), ...(tree === undefined ? [] : [tree])],
      hint: cause === undefined ? NOT_ASKED : TRY_AGAIN,
      cause,
    });
  }
  note(access, 'offline', `${ref.seen} ${withoutSecrets(uri)}`);
  const { rows, schema, identity } = ref;
  const descriptor: FileDescriptor = { format: CACHED, uri, rows, schema, identity, layout: undefined };
  const { ownFormat, receipt } = ref;
  const layout = { access, ownFormat, ...(receipt === undefined ? {} : { receipt }) };
  return throughCache(descriptor, layout, reopen, undefined, ref);
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
  const entries = openEntries(access, identity);
  const original = onDemand(descriptor, layout, reopen, opened);
  const fill = filler(descriptor, layout, original.file);
  const sizeOf = (names: readonly string[], which: 0 | 1) =>
    names.reduce((sum, name) => sum + (ref?.sizes[name]?.[which] ?? 0), 0);
  return {
    descriptor,
    unreadable: ref?.unreadable ?? opened?.unreadable ?? [],
    redundant: ref?.redundant ?? opened?.redundant ?? [],
    bytesOf: (names) => opened?.bytesOf(names) ?? sizeOf(names, 0),
    rawBytesOf: (names) => opened?.rawBytesOf(names) ?? sizeOf(names, 1),
    ...(opened?.storageOf === undefined ? {} : { storageOf: (name: string) => opened.storageOf!(name) }),
    ...objectsOf(opened, ref),
    async read(names, rowStart, rowEnd, signal, take, needed) {
      const known = names.every((name) => fieldNamed(schema, name) !== undefined);
      // an unknown name gets the error that the file itself gives
      if (!known) return (await original.file(names)).read(names, rowStart, rowEnd, signal);
      for (;;) {
        const absent = entries.missing(names);
        const filling = entries.worthFilling(absent);
        if (filling.length > 0) await fill(filling, signal);
        const missing = absent.length === 0 ? absent : entries.missing(absent);
        const there = names.filter((name) => !missing.includes(name));
        const columns = entries.read(there, rowStart, rowEnd);
        if (there.some((name) => !columns.has(name))) continue;
        if (missing.length === 0) return names.map((name) => columns.get(name)!);
        const file = await original.file(missing);
        const others = await file.read(missing, rowStart, rowEnd, signal, take, needed);
        return names.map((name) => columns.get(name) ?? others[missing.indexOf(name)]!);
      }
    },
    forget() {
      entries.forget();
      original.forget();
    },
    async close() {
      entries.close();
      await original.close();
    },
  };
}

/** A file whose columns can be read may be damaged elsewhere. */
function nothingIfUnreadable(error: unknown): undefined {
  if (!(error instanceof ColweaveError)) throw error;
}

function objectsOf(opened: SourceFile | undefined, ref: FileRef | undefined): Pick<SourceFile, 'objects'> {
  if (opened?.objects !== undefined) return { objects: () => opened.objects!() };
  const objects = ref?.objects;
  return objects === undefined ? {} : { objects: () => Promise.resolve(objects) };
}

/** The file itself, opened when the cache does not have what is wanted. */
function onDemand(descriptor: FileDescriptor, { access, inner }: CachedLayout, reopen: Reopen, opened?: SourceFile) {
  let file = opened;
  let opening: Promise<SourceFile> | undefined;
  return {
    async file(missing: readonly string[]): Promise<SourceFile> {
      if (file !== undefined) return file;
      if (inner === undefined) throw offlineMiss(descriptor.uri, access, missing);
      opening ??= reopen(inner);
      file = await opening;
      return file;
    },
    forget: () => file?.forget?.(),
    close: async () => (file ?? (await opening?.catch(() => undefined)))?.close(),
  };
}

/** Puts columns into the cache, as long as it takes them: with a full disk the file is read as if there were none. */
function filler(
  { uri, rows, schema, identity }: FileDescriptor,
  { access }: CachedLayout,
  original: (missing: readonly string[]) => Promise<SourceFile>,
): (names: readonly string[], signal?: AbortSignal) => Promise<void> {
  let usable = access.writable;
  return async (names, signal) => {
    if (!usable) return;
    const file = await original(names);
    const wanted = names.map((name) => {
      const field = fieldNamed(schema, name);
      invariant(field !== undefined, `column ${name} is in the file`);
      return { key: columnKey(identity, name), field, rawBytes: file.rawBytesOf([name]) };
    });
    try {
      const { read, askAhead } = file;
      await fillColumns(access, wanted, { uri, rows, read, ...(askAhead && { askAhead }) }, signal);
    } catch (error) {
      if (!isUnusable(error)) throw error;
      usable = false;
      note(access, 'failed', (error as Error).message);
    }
    file.forget?.();
  };
}

const NOT_ASKED = 'fetch it once without --offline';
const TRY_AGAIN = 'try again when the server can be reached';

function offlineMiss(uri: string, access: CacheAccess, missing: readonly string[]): ColweaveError {
  const [first, ...others] = missing;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const hint = access.offline ? NOT_ASKED : TRY_AGAIN;
  return new ColweaveError('cache/offline-miss', `no cached column "${first}"${more}`, {
    where: [withoutSecrets(uri)],
    hint,
  });
}
