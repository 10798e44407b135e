// Owns locks between jobs, on one machine or several: files made exclusively, which also works on NFS. A lock saves a
// second transfer and nothing else: entries are whole whoever writes them, so one broken too early does no harm.
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { type CacheAccess, partOf } from './place.ts';

/** Its holder shows that it lives this often. */
export const LOCK_BEAT_MS = 10_000;
/** A holder on another machine that has not for this long is taken for dead: far above clock differences and long pauses. */
export const LOCK_STALE_MS = 180_000;
/** Between making a lock and writing who holds it. */
const EMPTY_MS = 10_000;
/** Whoever removes a stale lock is done at once. */
const BREAKING_MS = 30_000;

export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Start time of the process where the system tells, as numbers of processes come again. */
  readonly started: string;
  readonly token: string;
}

export interface Lock {
  beat(): void;
  release(): void;
}

const lockPath = (access: Pick<CacheAccess, 'folder'>, name: string) => join(partOf(access, 'locks'), `${name}.lock`);

/** Undefined where somebody who lives has it. */
export function tryLock(access: CacheAccess, name: string): Lock | undefined {
  const path = lockPath(access, name);
  const holder: Holder = {
    host: hostname(),
    pid: process.pid,
    started: startOf(process.pid),
    token: randomBytes(8).toString('hex'),
  };
  if (!makeFile(path, holder, access.fileMode)) {
    if (!breakStale(path, holder, access.fileMode) || !makeFile(path, holder, access.fileMode)) return undefined;
  }
  return {
    beat() {
      try {
        const now = new Date();
        utimesSync(path, now, now);
      } catch {
        // somebody took it for stale: nothing is lost but a transfer
      }
    },
    release() {
      if (readHolder(path)?.token === holder.token) rmSync(path, { force: true });
    },
  };
}
function makeFile(path: string, holder: Holder, mode: number): boolean {
  try {
    const descriptor = openSync(path, 'wx', mode);
    writeSync(descriptor, JSON.stringify(holder));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new ColweaveError('cache/unusable', `no lock can be made: ${(error as Error).message}`, {
      where: [path],
      cause: error,
    });
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** True where no lock is left. One job at a time may remove a stale one, or it could be the next holder's. */
function breakStale(path: string, self: Holder, mode: number): boolean {
  if (!isStale(path)) return false;
  const breaker = `${path}.break`;
  if (!makeFile(breaker, self, mode)) {
    if (ageOf(breaker) > BREAKING_MS) rmSync(breaker, { force: true });
    return false;
  }
  try {
    if (isStale(path)) rmSync(path, { force: true });
    return true;
  } finally {
    rmSync(breaker, { force: true });
  }
}

function ageOf(path: string): number {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? 0 : Date.now() - status.mtimeMs;
}

export function isStale(path: string): boolean {
  const age = ageOf(path);
  const holder = readHolder(path);
  if (holder === undefined) return age > EMPTY_MS;
  const alive = isAlive(holder);
  return alive === undefined ? age > LOCK_STALE_MS : !alive;
}

/** Undefined for a process of another machine. */
export function isAlive({ host, pid, started }: Omit<Holder, 'token'>): boolean | undefined {
  if (host !== hostname()) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return startOf(pid) === started;
}

/** Ticks since the machine started, by Linux; '' where there is no /proc. */
export function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
