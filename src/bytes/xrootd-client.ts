// Owns the official client's programs, xrdcp and xrdfs: found, run, and their words turned into errors of ours.
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { findProxy, findToken, unusableError } from './credentials.ts';
import { RETRY } from './retry.ts';
import { parseUrl, serverName } from './xrootd-wire.ts';

/** Copies of whole files may take long; the client itself gives up on a server that is silent. */
export const COPY_POLICY = { ...RETRY, triesMax: 3, deadlineMs: 6 * 3_600_000 };
/**
 * Compares the adler32 of both ends after the copy. Not `adler32:source`, which prints a sum and compares nothing: with a
 * server whose sum did not agree, 5.5.3 then ended with 0.
 */
const CHECKED = ['--cksum', 'adler32', '--rm-bad-cksum'];

export function serverOf(uri: string): string {
  const { host, port } = parseUrl(uri)!;
  return serverName(host, port);
}

export function findOnPath(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (folder !== '' && statSync(path).isFile()) return path;
    } catch {
      // not there
    }
  }
  return undefined;
}

export interface ClientRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Tries to connect for half a minute: its own ten minutes are for people. */
const QUICK = { XRD_CONNECTIONWINDOW: '15', XRD_CONNECTIONRETRY: '2' };
/** Of what a program says, the end: as much as an error needs. */
const KEPT_CHARACTERS = 8192;

/** Runs a program of the client; ends with the signal. */
export function runClient(client: string, words: readonly string[], signal?: AbortSignal): Promise<ClientRun> {
  return new Promise((resolve, reject) => {
    const env = { ...QUICK, ...process.env };
    const child = spawn(client, words, { env, stdio: ['ignore', 'pipe', 'pipe'], ...(signal ? { signal } : {}) });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text: Buffer) => {
      stdout = `${stdout}${text}`.slice(-KEPT_CHARACTERS);
    });
    child.stderr.on('data', (text: Buffer) => {
      stderr = `${stderr}${text}`.slice(-KEPT_CHARACTERS);
    });
    child.once('error', (cause) => reject(signal?.aborted ? signal.reason : cause));
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

export interface ClientCopy {
  readonly from: string;
  readonly to: string;
  readonly flags: readonly string[];
  readonly where: readonly string[];
}

/** Copies one file and compares sums, where the server has sums; undefined = done. */
export async function copyByClient(
  client: string,
  { from, to, flags, where }: ClientCopy,
  signal?: AbortSignal,
): Promise<ColweaveError | undefined> {
  const common = ['--silent', '--nopbar', '--force', ...flags];
  const checked = await runClient(client, [...common, ...CHECKED, from, to], signal);
  if (checked.status === 0) return undefined;
  if (!/\[3013\].*(?:not supported|chksum)/i.test(checked.stderr)) return clientError(checked.stderr, where);
  const { status, stderr } = await runClient(client, [...common, from, to], signal);
  return status === 0 ? undefined : clientError(stderr, where);
}

/** What xrdcp says, by the words that it uses. */
export function clientError(stderr: string, where: readonly string[]): ColweaveError {
  const lines = stderr.split('\n').map((line) => line.replace(/^.*\[(?:FATAL|ERROR)\]\s*/, '').trim());
  const said = lines.filter((line) => line !== '').at(-1) ?? 'it does not say why';
  const make = (code: ColweaveError['code'], what: string, hint?: string) =>
    new ColweaveError(code, `${what}: ${said}`, { where, ...(hint ? { hint } : {}) });
  if (/auth failed|\[3010\]|\[3030\]|permission denied|not authorized/i.test(stderr)) {
    return notLetIn(said, where);
  }
  if (/\[3011\]|no such file/i.test(stderr)) return make('source/not-found', 'the server has no such file');
  if (/no space left|disk quota/i.test(stderr)) return make('memory/not-enough', 'scratch is full');
  if (/check-?sum/i.test(stderr))
    return make('remote/protocol', 'the copy cannot be checked, or is not what the server has');
  if (/expired|timeout|timed out/i.test(stderr)) return make('remote/timeout', 'xrdcp gave up');
  return make('remote/busy', 'xrdcp failed');
}

/** Says what was at hand: nothing, something that cannot be used, or something that the server does not take. */
function notLetIn(said: string, where: readonly string[]): ColweaveError {
  const found = [findProxy(), findToken()];
  const [first, ...others] = found.flatMap(({ unusable }) => (unusable ? [unusable] : []));
  if (found.some(({ usable }) => usable !== undefined)) {
    const hint =
      'ask for a credential that may do this there: a proxy of the right VO (voms-proxy-init -voms cms), or a token';
    const details = [first, ...others].flatMap((one) => (one ? [[one.what, ...one.where].join(': ')] : []));
    return new ColweaveError('credentials/refused', `the server refuses the credential: ${said}`, {
      where,
      hint,
      details,
    });
  }
  if (first === undefined) {
    return new ColweaveError('credentials/absent', `no proxy or token was found, and the server says: ${said}`, {
      where,
    });
  }
  const error = unusableError(first, where);
  const details = [said, ...others.map(({ what, where: path }) => [what, ...path].join(': '))];
  return new ColweaveError(error.code, error.message, { where: error.where, hint: error.hint, details });
}
