// Owns writing to root://: the official client sends a file that is whole, sums are compared, and the size there is looked at.
import { statSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { closeIdle } from './open.ts';
import { retrying, TryAgain, worthRetrying } from './retry.ts';
import type { ByteTarget } from './target.ts';
import { COPY_POLICY, clientError, copyByClient, findOnPath, runClient, serverOf } from './xrootd-client.ts';
import { parseUrl } from './xrootd-wire.ts';

/** The server keeps the file only if it was closed properly: a sender that died leaves nothing. */
const FLAGS = ['--posc'];

export const xrootdTarget: ByteTarget = {
  exists: async (uri, signal) => (await sizeThere(uri, signal)) !== undefined,
  async upload(path, uri, signal) {
    const client = programFor(uri, 'xrdcp');
    const { size } = statSync(path);
    const traffic = trafficOf(serverOf(uri));
    await closeIdle(uri);
    await trying(uri, signal, async (trySignal) => {
      traffic.requests++;
      const error = await copyByClient(client, { from: path, to: uri, flags: FLAGS, where: [uri] }, trySignal);
      if (error !== undefined) throw asOutput(error);
    });
    traffic.bytesTravelled += size;
    const there = await sizeThere(uri, signal);
    if (there === size) return;
    throw new ColweaveError('remote/protocol', `the server holds ${there ?? 0} bytes of the ${size} that were sent`, {
      where: [uri],
    });
  },
};

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

/** undefined: there is no such file. */
function sizeThere(uri: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  const program = programFor(uri, 'xrdfs');
  const { path, opaque, tls } = parseUrl(uri)!;
  const server = tls ? serverOf(uri).replace('root', 'roots') : serverOf(uri);
  const words = [server, 'stat', opaque === '' ? path : `${path}?${opaque}`];
  return trying(uri, signal, async (trySignal) => {
    trafficOf(serverOf(uri)).requests++;
    const { status, stdout, stderr } = await runClient(program, words, trySignal);
    if (status === 0) {
      const size = /^Size:\s+(\d+)$/m.exec(stdout)?.[1];
      return size === undefined ? undefined : Number(size);
    }
    const error = clientError(stderr, [uri]);
    if (error.code === 'source/not-found') return undefined;
    throw asOutput(error);
  });
}

function trying<T>(
  uri: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const once = (trySignal: AbortSignal) =>
    work(trySignal).catch((cause: unknown) => {
      throw cause instanceof ColweaveError && worthRetrying(cause) ? new TryAgain(cause) : cause;
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
