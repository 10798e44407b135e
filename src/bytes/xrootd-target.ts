// Owns writing to root://: the official client sends a file that is whole beside its name, sums are compared, then it gets its name.
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { closeIdle } from './open.ts';
import { retrying, TryAgain, worthRetrying } from './retry.ts';
import type { ByteTarget } from './target.ts';
import { COPY_POLICY, clientError, copyByClient, findOnPath, runClient, serverOf } from './xrootd-client.ts';
import { parseUrl } from './xrootd-wire.ts';

/**
 * The server keeps the file only if it was closed properly. Until it gives up waiting for a sender that died (ten minutes
 * by default) the part of it has the name that it was sent to, and readers hang: so that is not the final name.
 */
const FLAGS = ['--posc'];
/** For taking away what was sent, when the job itself is given up. */
const REMOVE_MS = 20_000;

export const xrootdTarget: ByteTarget = {
  exists: async (uri, signal) => (await sizeThere(uri, signal)) !== undefined,
  async upload(path, uri, signal) {
    const client = programFor(uri, 'xrdcp');
    const { size } = statSync(path);
    const traffic = trafficOf(serverOf(uri));
    await closeIdle(uri);
    const part = besideOf(uri);
    try {
      await trying(uri, signal, async (trySignal) => {
        traffic.requests++;
        const error = await copyByClient(client, { from: path, to: part, flags: FLAGS, where: [uri] }, trySignal);
        if (error !== undefined) throw error;
      });
      traffic.bytesTravelled += size;
      const there = await sizeThere(part, signal);
      if (there !== size) throw odd(uri, `holds ${there ?? 0} bytes of the ${size} that were sent`);
      await rename({ part, uri, size }, signal);
    } catch (cause) {
      await atServer(uri, ['rm', part], AbortSignal.timeout(REMOVE_MS)).catch(() => {});
      throw cause;
    }
  },
};

function odd(uri: string, what: string): ColweaveError {
  return new ColweaveError('remote/protocol', `the server ${what}`, { where: [uri] });
}

function programFor(uri: string, name: string): string {
  if (parseUrl(uri) === undefined || !/[^/]$/.test(parseUrl(uri)!.path)) {
    throw new ColweaveError('output/not-writable', 'this is no URL of a file: root://HOST[:PORT]//PATH is', {
      where: [uri],
    });
  }
  const path = findOnPath(name);
  if (path !== undefined) return path;
  throw new ColweaveError('output/not-writable', `root:// is written to by ${name}, which is not on PATH`, {
    where: [uri],
    hint: 'install the XRootD client (xrdcp, xrdfs), or write to a file',
  });
}

/** Hidden, in the same directory. */
function besideOf(uri: string): string {
  return uri.replace(/([^/?]+)(\?.*)?$/, (_, name: string, opaque = '') => {
    return `.${name}.${randomBytes(4).toString('hex')}.part${opaque}`;
  });
}

interface Renaming {
  readonly part: string;
  readonly uri: string;
  readonly size: number;
}

/** Some servers do not rename over a file that is there, and an answer may be lost. */
async function rename({ part, uri, size }: Renaming, signal: AbortSignal | undefined): Promise<void> {
  const move = () => trying(uri, signal, (trySignal) => atServer(uri, ['mv', part, uri], trySignal));
  try {
    await move();
  } catch (cause) {
    const there = await sizeThere(uri, signal);
    const isMoved = (await sizeThere(part, signal)) === undefined && there === size;
    if (isMoved) return;
    if (there === undefined) throw cause;
    await trying(uri, signal, (trySignal) => atServer(uri, ['rm', uri], trySignal));
    await move();
  }
}

/** undefined: there is no such file. */
function sizeThere(uri: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  return trying(uri, signal, async (trySignal) => {
    const said = await atServer(uri, ['stat', uri], trySignal).catch((cause: unknown) => {
      if (cause instanceof ColweaveError && cause.code === 'source/not-found') return '';
      throw cause;
    });
    const size = /^Size:\s+(\d+)$/m.exec(said)?.[1];
    return size === undefined ? undefined : Number(size);
  });
}

/** A command of xrdfs, with URLs for the paths of that server; gives what it says. Errors: those of reading. */
async function atServer(
  uri: string,
  [command, ...urls]: readonly [string, ...string[]],
  signal: AbortSignal | undefined,
): Promise<string> {
  const program = programFor(uri, 'xrdfs');
  const server = parseUrl(uri)!.tls ? serverOf(uri).replace('root', 'roots') : serverOf(uri);
  const paths = urls.map((url) => {
    const { path, opaque } = parseUrl(url)!;
    return opaque === '' ? path : `${path}?${opaque}`;
  });
  trafficOf(serverOf(uri)).requests++;
  const { status, stdout, stderr } = await runClient(program, [server, command, ...paths], signal);
  if (status !== 0) throw clientError(stderr, [uri]);
  return stdout;
}

function trying<T>(
  uri: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const once = (trySignal: AbortSignal) =>
    work(trySignal).catch((cause: unknown) => {
      if (!(cause instanceof ColweaveError)) throw cause;
      throw worthRetrying(cause) ? new TryAgain(cause) : asOutput(cause);
    });
  return retrying(once, { server: serverOf(uri), where: [uri], policy: COPY_POLICY, signal });
}

/** What is wrong with an input is told of an output here. */
function asOutput(error: ColweaveError): ColweaveError {
  const { code, message, where, hint } = error;
  if (code === 'memory/not-enough') return new ColweaveError('output/disk-full', message, { where });
  if (code === 'source/not-found') return new ColweaveError('output/not-writable', message, { where });
  return code === 'credentials/refused' ? new ColweaveError(code, message, { where, hint }) : error;
}
