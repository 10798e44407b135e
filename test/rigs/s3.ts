// Owns starting and stopping a real S3 server on loopback: s3s-fs, which checks signatures and their time, and has a disk behind it.
//   node test/rigs/s3.ts install            builds it once (two to five minutes) into the cache, prints its path
//   node test/rigs/s3.ts start [DIR]        prints one JSON object: dir, endpoint, env, pid
//   node test/rigs/s3.ts stop DIR           ends the server of that start and removes DIR
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CANNOT } from './server-process.ts';

/** Newer ones want a newer rustc than 1.95. */
const VERSION = '0.14.1';
const BUCKET = 'bucket';
const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret123' };
const START_SECONDS_MAX = 10;

export interface S3Rig {
  readonly dir: string;
  readonly endpoint: string;
  readonly bucket: string;
  /** Objects of the bucket are files here: what is put here can be read at once. */
  readonly store: string;
  /** For clients: where the server is, and keys that are accepted. */
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
}

function folder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'colweave', `s3s-fs-${VERSION}`);
}
const binary = (): string => join(folder(), 'bin', 's3s-fs');

/** What is missing to start a server; undefined = nothing. CI builds it, others are told how. */
export function missingForS3(): string | undefined {
  if (existsSync(binary())) return undefined;
  if (process.env.CI) {
    const failed = install();
    return failed === undefined ? undefined : `${CANNOT}s3s-fs (${failed})`;
  }
  return 's3s-fs is not built: run node test/rigs/s3.ts install (needs cargo, takes minutes, once)';
}

/** Gives what went wrong, or nothing. */
function install(): string | undefined {
  const words = ['install', `s3s-fs@${VERSION}`, '--locked', '--features', 'binary', '--root', folder()];
  const { status, error } = spawnSync('cargo', words, { stdio: ['ignore', 2, 2] });
  return status === 0 ? undefined : `cargo ended with ${error?.message ?? status}`;
}

export async function startS3(dir = mkdtempSync(join(tmpdir(), 'colweave-s3-'))): Promise<S3Rig> {
  const store = join(dir, 'root', BUCKET);
  mkdirSync(store, { recursive: true });
  const port = await freePort();
  const log = openSync(join(dir, 'log'), 'a');
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = KEYS;
  const keys = ['--access-key', AWS_ACCESS_KEY_ID, '--secret-key', AWS_SECRET_ACCESS_KEY];
  const words = [...keys, '--host', '127.0.0.1', '--port', String(port), join(dir, 'root')];
  const server = spawn(binary(), words, { stdio: ['ignore', log, log], detached: true });
  server.unref();
  writeFileSync(join(dir, 'pid'), String(server.pid));
  for (const end = Date.now() + START_SECONDS_MAX * 1000; !(await connects(port)); await sleep(20)) {
    if (Date.now() > end) throw new Error(`s3s-fs does not come up: ${readFileSync(join(dir, 'log'), 'utf8')}`);
  }
  const endpoint = `http://127.0.0.1:${port}`;
  const env = { ...KEYS, AWS_ENDPOINT_URL_S3: endpoint, AWS_REGION: 'us-east-1', AWS_CONFIG_FILE: '/dev/null' };
  return { dir, endpoint, bucket: BUCKET, store, env, pid: server.pid! };
}

export function stopS3(dir: string): void {
  try {
    process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')));
  } catch {
    // it ended by itself
  }
  rmSync(dir, { recursive: true, force: true });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , action, dir] = process.argv;
  if (action === 'install') process.stdout.write(`${install() ?? binary()}\n`);
  else if (action === 'start') process.stdout.write(`${JSON.stringify(await startS3(dir))}\n`);
  else if (action === 'stop' && dir !== undefined) stopS3(dir);
  else process.stderr.write('s3.ts install | start [DIR] | stop DIR\n');
}
