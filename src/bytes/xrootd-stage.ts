// Owns files behind doors that take X.509 proxies alone: the official client copies them to scratch, checked, and they are read there.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { openFileStore } from './file.ts';
import { retrying, TryAgain, worthRetrying } from './retry.ts';
import type { ByteStore } from './types.ts';
import { COPY_POLICY, copyByClient, findOnPath, serverOf } from './xrootd-client.ts';

const POLL_MS = 200;
/** Copies stay while the process runs, as each file is opened several times; of all, so much. */
const KEPT_BYTES_MAX = 8 * 2 ** 30;
const FOLDER = 'colweave-stage-';

/** Errors: source/not-found, credentials/*, remote/*, memory/not-enough; remote/unreachable without the official client. */
export async function stageStore(uri: string, signal?: AbortSignal): Promise<ByteStore> {
  const client = findOnPath('xrdcp');
  if (client === undefined) {
    throw new ColweaveError(
      'credentials/absent',
      'the server takes X.509 proxies alone, for which xrdcp is needed: it is not on PATH',
      {
        where: [uri],
        hint: 'install the XRootD client (xrdcp), or get a token if the site takes tokens',
      },
    );
  }
  const folder = stageFolder();
  const path = join(folder, createHash('sha256').update(uri).digest('hex').slice(0, 32));
  for (;;) {
    await copyOnce({ client, uri, path, signal });
    try {
      return { ...openFileStore(path), uri };
    } catch (cause) {
      // another thread made room in between
      if (!(cause instanceof ColweaveError) || cause.code !== 'source/not-found') throw cause;
    }
  }
}

/** One of a process, for all of its threads; what dead processes left is removed. */
function stageFolder(): string {
  const scratch = process.env._CONDOR_SCRATCH_DIR ?? process.env.TMPDIR ?? tmpdir();
  const folder = join(scratch, `${FOLDER}${process.pid}`);
  if (existsSync(folder)) return folder;
  try {
    for (const name of readdirSync(scratch)) {
      const pid = name.startsWith(FOLDER) ? Number(name.slice(FOLDER.length)) : Number.NaN;
      if (Number.isSafeInteger(pid) && !isAlive(pid)) rmSync(join(scratch, name), { recursive: true, force: true });
    }
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ColweaveError('memory/not-enough', 'no scratch folder can be made', { where: [folder], cause });
  }
  if (isMainThread) process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

interface Copy {
  readonly client: string;
  readonly uri: string;
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/** Several threads open one file, and each more than once: the first copies it, the others wait for it. */
async function copyOnce(copy: Copy): Promise<void> {
  const { path, signal } = copy;
  const lock = `${path}.lock`;
  for (;;) {
    if (existsSync(path)) return;
    try {
      mkdirSync(lock);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ColweaveError('memory/not-enough', 'scratch cannot be written', { where: [path], cause });
      }
      await sleep(POLL_MS, undefined, signal ? { signal } : {});
      continue;
    }
    try {
      if (existsSync(path)) return;
      makeRoom(dirname(path));
      await copyChecked(copy, `${path}.part`);
      renameSync(`${path}.part`, path);
    } finally {
      rmSync(`${path}.part`, { force: true });
      rmSync(lock, { recursive: true, force: true });
    }
  }
}

/** Removes the oldest copies while there are more than should stay. One that is open loses its name alone. */
function makeRoom(folder: string): void {
  const copies = readdirSync(folder)
    .filter((name) => !name.includes('.'))
    .map((name) => ({ path: join(folder, name), status: statSync(join(folder, name)) }))
    .sort((left, right) => left.status.mtimeMs - right.status.mtimeMs);
  let total = copies.reduce((sum, { status }) => sum + status.size, 0);
  for (const { path, status } of copies) {
    if (total <= KEPT_BYTES_MAX) return;
    rmSync(path, { force: true });
    total -= status.size;
  }
}

async function copyChecked({ client, uri, signal }: Copy, target: string): Promise<void> {
  const server = serverOf(uri);
  const work = async (trySignal: AbortSignal) => {
    trafficOf(server).requests++;
    const error = await copyByClient(client, { from: uri, to: target, flags: [], where: [uri] }, trySignal);
    if (error !== undefined) throw worthRetrying(error) ? new TryAgain(error) : error;
  };
  await retrying(work, { server, where: [uri], policy: COPY_POLICY, signal });
  const { size } = statSync(target);
  const traffic = trafficOf(server);
  traffic.bytesAsked += size;
  traffic.bytesTravelled += size;
}
