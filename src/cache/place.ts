// Owns the directory of a cache: where it is, who may write to it, and how a file gets into it whole.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';

/** Plain data: what any thread of a job needs to use a cache. */
export interface CacheAccess {
  readonly folder: string;
  /** Of files and folders made in it: whoever may read the directory may read them. */
  readonly fileMode: number;
  readonly folderMode: number;
  /** False: what is there is used, nothing is added. */
  readonly writable: boolean;
  /** The log of this job's use; '' = none is kept. */
  readonly job: string;
  /** No server is asked. */
  readonly offline: boolean;
  /** Local files too. */
  readonly always: boolean;
}

const PARTS = ['columns', 'refs', 'locks', 'jobs', 'tmp', 'damaged'] as const;
export type CachePart = (typeof PARTS)[number];

export const partOf = ({ folder }: Pick<CacheAccess, 'folder'>, part: CachePart): string => join(folder, part);

/** Below $XDG_CACHE_HOME, else ~/.cache; colweave/ itself may hold other things. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'colweave', 'columns');
}

/** Makes the directory where it is absent, for its owner alone. Errors: cache/not-private, cache/unusable. */
export function openPlace(folder: string): Pick<CacheAccess, 'folder' | 'fileMode' | 'folderMode' | 'writable'> {
  let mode: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const status = statSync(folder);
    readdirSync(folder);
    mode = status.mode & 0o7777;
  } catch (cause) {
    throw new ColweaveError('cache/unusable', `the cache directory cannot be used: ${(cause as Error).message}`, {
      where: [folder],
      cause,
    });
  }
  if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
    throw new ColweaveError('cache/not-private', 'the cache directory is world-writable without the sticky bit', {
      where: [folder],
    });
  }
  const writable = PARTS.every((part) => makeFolder(join(folder, part), mode)) && canWrite(join(folder, 'tmp'));
  return { folder, fileMode: mode & 0o666, folderMode: mode, writable };
}

function canWrite(folder: string): boolean {
  const path = join(folder, uniqueName('probe'));
  try {
    closeSync(openSync(path, 'wx', 0o600));
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

/** The umask must not take from a group what the directory above gives it. */
function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path);
    chmodSync(path, mode);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EEXIST';
  }
}

let serial = 0;
/** Tells whose a temporary file is, so that another job knows when nobody writes to it any more. */
export function uniqueName(stem: string): string {
  return `${stem}.${hostname()}.${process.pid}.${serial++}${randomBytes(4).toString('hex')}`;
}

/** A file that is being written below tmp/: nobody reads it before `publish`. */
export interface NewFile {
  readonly path: string;
  write(bytes: Uint8Array): void;
  /**
   * Flushed, then renamed: whoever finds the name finds all of it. The folder is not flushed, as what a crash of the machine
   * takes from it is fetched again. Errors: cache/unusable.
   */
  publish(target: string): void;
  abandon(): void;
}

/** Errors: cache/unusable. */
export function newFile(access: CacheAccess, stem: string): NewFile {
  const path = join(partOf(access, 'tmp'), uniqueName(stem));
  const descriptor = guarded(path, () => openSync(path, 'wx', access.fileMode));
  let open = true;
  const close = () => {
    if (open) closeSync(descriptor);
    open = false;
  };
  return {
    path,
    write(bytes) {
      guarded(path, () => {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at);
      });
    },
    publish(target) {
      guarded(target, () => {
        fchmodSync(descriptor, access.fileMode);
        fsyncSync(descriptor);
        close();
        makeFolder(dirname(target), access.folderMode);
        renameSync(path, target);
      });
    },
    abandon() {
      close();
      rmSync(path, { force: true });
    },
  };
}

/** A small file, whole. Errors: cache/unusable. */
export function writeInto(access: CacheAccess, target: string, text: string): void {
  const file = newFile(access, 'text');
  try {
    file.write(Buffer.from(text));
    file.publish(target);
  } catch (error) {
    file.abandon();
    throw error;
  }
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new ColweaveError('cache/unusable', `the cache cannot be written: ${(cause as Error).message}`, {
      where: [path],
      cause,
    });
  }
}
