// Owns the file that is written beside its target and renamed at the end: nothing half-written is ever under the final name.
import { type FileHandle, link, lstat, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { releaseBytes } from '../core/arena.ts';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { newPartPath, removeStaleParts } from './stale-parts.ts';

/** Small writes are gathered up to this size. */
const BUFFER_BYTES = 1 << 20;
/** Every so many bytes the system is asked to put them on the disk, so that the last flush is short. */
const SYNC_BYTES = 16 << 20;

const FULL_DISK = new Set(['ENOSPC', 'EDQUOT']);
/** File systems without hard links: exclusive creation falls back to look, then rename. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'the directory does not exist',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  ENAMETOOLONG: 'the name is too long',
  EFBIG: 'the file would be larger than is allowed',
  EIO: 'input/output error',
};

export interface PartFile {
  /** Bytes written so far. */
  readonly position: number;
  /** The temporary file's path. */
  readonly path: string;
  /**
   * Takes the bytes, which must not change any more: they are written while the caller goes on, one write behind.
   * `last`: nobody looks at them again, so that their memory is given back when they are written.
   */
  write(bytes: Uint8Array, last?: boolean): Promise<void>;
  /** Flushes to disk and closes; the file is still under its part name. */
  finish(): Promise<void>;
  commit(): Promise<void>;
  /** Removes what was written; after commit it does nothing. */
  abort(): Promise<void>;
}

/**
 * Creates `.NAME.PID-MACHINE-N.part` beside `target`, and removes those that killed processes left. Errors: output/exists (also at commit, when another made the target
 * meanwhile), output/not-writable, output/disk-full.
 */
export async function openPartFile(target: string, options: { readonly force: boolean }): Promise<PartFile> {
  const { force } = options;
  const final = await finalPath(target, force);
  removeStaleParts(final);
  const path = newPartPath(final);
  const handle = await guard(target, () => open(path, 'wx'));
  let buffer = new Uint8Array(BUFFER_BYTES);
  let spare = new Uint8Array(BUFFER_BYTES);
  let buffered = 0;
  let position = 0;
  let state: 'open' | 'closed' | 'gone' = 'open';
  const behind = writeBehind(handle, target);
  const flush = async () => {
    if (buffered === 0) return;
    const full = buffer.subarray(0, buffered);
    await behind.write(full);
    // the write before is done, and with it the use of the other buffer
    [buffer, spare] = [spare, buffer];
    buffered = 0;
  };

  return {
    path,
    get position() {
      return position;
    },
    async write(bytes, last = false) {
      const { length } = bytes;
      if (buffered + length > BUFFER_BYTES) await flush();
      if (length >= BUFFER_BYTES) await behind.write(bytes, last);
      else {
        buffer.set(bytes, buffered);
        buffered += length;
        if (last) releaseBytes(bytes);
      }
      position += length;
    },
    async finish() {
      await flush();
      await behind.settle();
      await guard(target, () => handle.sync());
      await guard(target, () => handle.close());
      state = 'closed';
    },
    async commit() {
      await publish(path, { target, final, force });
      state = 'gone';
      await syncDirectory(dirname(final));
    },
    async abort() {
      if (state === 'gone') return;
      await behind.settle().catch(() => undefined);
      if (state === 'open') await handle.close().catch(() => undefined);
      state = 'gone';
      await unlink(path).catch(() => undefined);
    },
  };
}

interface WriteBehind {
  /** Starts writing once the write before is done. Errors: those of an earlier write come here, or from settle. */
  write(bytes: Uint8Array, last?: boolean): Promise<void>;
  settle(): Promise<void>;
}

function writeBehind(handle: FileHandle, target: string): WriteBehind {
  let pending: Promise<void> = Promise.resolve();
  let unsynced = 0;
  const run = async (bytes: Uint8Array, last: boolean) => {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at);
      at += bytesWritten;
    }
    unsynced += bytes.length;
    if (last) releaseBytes(bytes);
    if (unsynced < SYNC_BYTES) return;
    unsynced = 0;
    await handle.datasync();
  };
  return {
    write: async (bytes, last = false) => {
      await pending;
      pending = guard(target, () => run(bytes, last));
      pending.catch(() => undefined); // it is thrown by the next call
    },
    settle: () => pending,
  };
}

/** Where the file goes: a link to a file is followed, so that the file is replaced and not the link. */
async function finalPath(target: string, force: boolean): Promise<string> {
  const there = await lstat(target).catch(() => undefined);
  if (there === undefined) return target;
  const file = await stat(target).catch(() => undefined);
  if (file?.isDirectory()) {
    throw new ColweaveError('output/not-writable', 'the output is a directory', { where: [target] });
  }
  if (file !== undefined && !file.isFile()) {
    const hint = 'name a file, or - for the standard output';
    throw new ColweaveError('output/not-writable', 'the output is a device or pipe', { where: [target], hint });
  }
  if (!force) throw exists(target);
  return there.isSymbolicLink() && file !== undefined ? realpath(target) : target;
}

interface Publication {
  readonly target: string;
  readonly final: string;
  readonly force: boolean;
}

/** Without force, a hard link is the one way to take a name only if it is free. */
async function publish(path: string, { target, final, force }: Publication): Promise<void> {
  if (force) return guard(target, () => rename(path, final));
  try {
    await link(path, final);
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'EEXIST') throw exists(target);
    if (!NO_LINKS.has(code)) throw outputError(target, cause);
    const there = await lstat(final).catch(() => undefined);
    if (there !== undefined) throw exists(target);
    return guard(target, () => rename(path, final));
  }
  await guard(target, () => unlink(path));
}

/** Makes the new name durable; file systems that cannot do this are not an error. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close().catch(() => undefined);
}

function exists(target: string): ColweaveError {
  return new ColweaveError('output/exists', 'the output is there already', { where: [target] });
}

async function guard<T>(target: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw outputError(target, cause);
  }
}

/** What the system says of an output, as one of our codes. */
export function outputError(target: string, cause: unknown): ColweaveError {
  const code = codeOf(cause);
  const kind: ErrorCode = FULL_DISK.has(code) ? 'output/disk-full' : 'output/not-writable';
  const full = code === 'EDQUOT' ? 'the quota is used up' : 'the disk is full';
  const reason = FULL_DISK.has(code) ? full : (REASONS[code] ?? (code || 'unknown error'));
  return new ColweaveError(kind, `cannot write the output: ${reason}`, { where: [target], cause });
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}
