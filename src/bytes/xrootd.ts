// Owns reading a file on an XRootD server as a ByteStore: what is asked together, tries, opening again, and the proof that it is the same file.
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { layOut, type Piece, toRequests } from './ranges.ts';
import { policyHere, type RetryPolicy, retrying, TryAgain } from './retry.ts';
import type { ByteRange, ByteStore, Digest } from './types.ts';
import { serverError, tryAgainIfWorth } from './xrootd-errors.ts';
import type { Answer } from './xrootd-link.ts';
import { openRemote, type RemoteFile, statusOf, waitMs } from './xrootd-open.ts';
import { ProxyAlone, unlessAborted } from './xrootd-session.ts';
import { readSink, vectorSink } from './xrootd-sinks.ts';
import { stageStore } from './xrootd-stage.ts';
import { type LinkLimits, limitsHere } from './xrootd-watch.ts';
import {
  checksumFrame,
  decodeError,
  notProtocol,
  parseUrl,
  type RootUrl,
  readFrame,
  readvFrame,
  STATUS,
  serverName,
  textOf,
} from './xrootd-wire.ts';

export interface XrootdOptions {
  readonly policy?: RetryPolicy;
  readonly limits?: LinkLimits;
}

/** A longer run is read in requests of this size, so many at a time: the answers follow each other without a pause. */
const READ_BYTES_MAX = 1 << 20;
const IN_FLIGHT_MAX = 8;
/** Pieces of at least this size are read alone, shorter ones in vectors of up to so many bytes. */
const ALONE_BYTES_MIN = 256 * 1024;
const VECTOR_BYTES_MAX = 2 << 20;
/** Gaps up to this size are read over where that wastes little. */
const GAP_BYTES_MAX = 16 * 1024;
/** Of the bytes asked for, one in so many more may travel to save pieces: the server reads each piece by itself. */
const WASTE_PART = 50;
/** Of what was read first so much is kept, to know the file again on another server. */
const WITNESS_BYTES_MAX = 4096;

/** Errors: source/not-found, source/not-readable, credentials/*, remote/*. */
export async function openXrootdStore(uri: string, options: XrootdOptions, signal?: AbortSignal): Promise<ByteStore> {
  const url = parseUrl(uri);
  if (url === undefined) {
    throw new ColweaveError('source/not-found', 'this is no URL of a file: root://HOST[:PORT]//PATH is', {
      where: [uri],
    });
  }
  const state: State = {
    uri,
    url,
    options: { policy: policyHere(), limits: limitsHere(), ...options },
    where: [uri],
    file: undefined,
    opening: undefined,
    known: undefined,
    witness: undefined,
    answered: 0,
    outOfStep: 0,
  };
  try {
    await fileOf(state, signal);
  } catch (cause) {
    if (cause instanceof ProxyAlone) return stageStore(uri, signal);
    throw cause;
  }
  return xrootdStore(state);
}

interface Known {
  readonly server: string;
  readonly id: string;
  readonly size: number;
  readonly modified: number;
}

interface State {
  readonly uri: string;
  readonly url: RootUrl;
  readonly options: Required<XrootdOptions>;
  readonly where: readonly string[];
  file: RemoteFile | undefined;
  /** One opening at a time, whoever needs it. */
  opening: Promise<RemoteFile> | undefined;
  /** What was opened first. */
  known: Known | undefined;
  /** Connections that ended with an answer that made no sense, or with none. */
  outOfStep: number;
  /** Requests that were answered in full. */
  answered: number;
  witness: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
}

function xrootdStore(state: State): ByteStore {
  const { size } = state.known!;
  const readAll = async (ranges: readonly ByteRange[], room: Uint8Array | undefined, signal?: AbortSignal) => {
    const { uri } = state;
    const limits = { pieceBytesMax: READ_BYTES_MAX, gapBytesMax: GAP_BYTES_MAX, wastePart: WASTE_PART };
    const { pieces, arrays } = layOut(uri, size, ranges, limits, room);
    if (pieces.length === 0) return arrays;
    trafficOf(state.known!.server).bytesAsked += ranges.reduce((sum, { length }) => sum + length, 0);
    await readSurely(state, pieces, signal);
    state.witness ??= { offset: pieces[0]!.offset, bytes: pieces[0]!.into.slice(0, WITNESS_BYTES_MAX) };
    return arrays;
  };
  return {
    uri: state.uri,
    size,
    isRemote: true,
    read: (ranges, signal) => readAll(ranges, undefined, signal),
    readInto: (ranges, room, signal) => readAll(ranges, room, signal),
    checksum: (signal) => checksumOf(state, signal),
    async close() {
      const { file } = state;
      state.file = undefined;
      await file?.close();
    },
  };
}

/**
 * What came before an answer that made no sense may be wrong itself: bytes that were lost on the way are taken from what
 * follows. The status of the file, asked last, shows that the answers were in step; if they were not, all is read again.
 */
async function readSurely(state: State, pieces: readonly Piece[], signal: AbortSignal | undefined): Promise<void> {
  const { triesMax } = state.options.policy;
  for (let count = 1; count <= triesMax; count++) {
    const { outOfStep } = state;
    await readPieces(state, pieces, signal);
    if (state.outOfStep === outOfStep) return;
  }
  throw notProtocol(`its answers were out of step ${triesMax} times`, state.where);
}

/** Fills all pieces, several requests at a time, then asks whether the file is still what it was. */
async function readPieces(state: State, pieces: readonly Piece[], signal: AbortSignal | undefined): Promise<void> {
  const file = await fileOf(state, signal);
  const { piecesMax, pieceBytesMax } = await file.session.vector;
  const alone = (piece: Piece) => piece.into.length >= Math.min(ALONE_BYTES_MIN, pieceBytesMax + 1);
  const requests = [
    ...toRequests(
      pieces.filter((piece) => !alone(piece)),
      { piecesMax, requestBytesMax: VECTOR_BYTES_MAX },
    ),
    ...pieces.filter(alone).map((piece) => [piece]),
  ].sort((left, right) => left[0]!.offset - right[0]!.offset);
  // one that fails for good ends the others: nobody may write into the arrays after this call
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  let next = 0;
  const lane = async () => {
    while (next < requests.length) await readRequest(state, requests[next++]!, either);
  };
  const lanes = Array.from({ length: Math.min(IN_FLIGHT_MAX, requests.length) }, () =>
    lane().catch((cause) => {
      failed.abort(cause);
      throw cause;
    }),
  );
  // sent behind the last reads of a short list, so that it costs no time of its own
  const still = requests.length <= IN_FLIGHT_MAX ? [checkSame(state, either)] : [];
  const results = await Promise.allSettled([...lanes, ...still]);
  const broken = results.find(({ status }) => status === 'rejected');
  if (broken)
    throw signal?.aborted ? signal.reason : (failed.signal.reason ?? (broken as PromiseRejectedResult).reason);
  if (still.length === 0) await checkSame(state, signal);
}

/** On a bad line all requests fall together: while any get through, all are made again. */
async function whileSomeGetThrough(
  state: State,
  signal: AbortSignal | undefined,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    const { answered } = state;
    try {
      await work();
      state.answered++;
      return;
    } catch (cause) {
      if (signal?.aborted || state.answered === answered || !isLineError(cause)) throw cause;
    }
  }
}

function isLineError(cause: unknown): boolean {
  return cause instanceof ColweaveError && cause.code === 'remote/unreachable';
}

/** One request, tried until it is answered in full. */
function readRequest(state: State, pieces: readonly Piece[], signal: AbortSignal): Promise<void> {
  const [first] = pieces as readonly [Piece, ...Piece[]];
  const single = pieces.length === 1;
  const once = async (trySignal: AbortSignal) => {
    const file = await openFile(state, trySignal);
    const { handle, session } = file;
    const frame = single
      ? readFrame(handle, { offset: first.offset, length: first.into.length })
      : readvFrame(handle, pieces);
    const sink = single ? readSink(first.into) : vectorSink(handle, pieces, state.where);
    checkAnswer(state, file, await session.link.request(frame, trySignal, sink));
  };
  return whileSomeGetThrough(state, signal, () => tries(state, signal, once));
}

function checkAnswer(state: State, file: RemoteFile, { status, body }: Answer): void {
  const { where } = state;
  if (status === STATUS.ok) return;
  if (status === STATUS.wait) {
    const busy = new ColweaveError('remote/busy', 'the server says: wait', { where });
    throw new TryAgain(busy, waitMs(body));
  }
  // whatever it is, this handle is of no use any more
  forget(state, file);
  if (status === STATUS.error) throw serverError(decodeError(body), where);
  const what =
    status === STATUS.redirect ? 'it sends us elsewhere in mid-file' : `a status that is not understood (${status})`;
  throw notProtocol(what, where);
}

/** The time of the file on its server has not moved since it was opened, where the server tells it. Errors: remote/changed. */
function checkSame(state: State, signal: AbortSignal | undefined): Promise<void> {
  const once = async (trySignal: AbortSignal) => {
    const file = await openFile(state, trySignal);
    const now = await statusOf(file, { where: state.where, signal: trySignal }).catch((cause: unknown) => {
      // some servers have no status of an open file; that says nothing of the file
      if (cause instanceof ColweaveError && cause.code === 'source/not-readable') return file.status;
      throw cause;
    });
    const { size, modified } = file.status;
    if (now.size !== size || now.modified !== modified) throw changed(state, 'it was written to');
  };
  return whileSomeGetThrough(state, signal, () => tries(state, signal, once));
}

/** What the server keeps or makes of the whole file; servers without sums say so with an error. */
async function checksumOf(state: State, signal: AbortSignal | undefined): Promise<Digest | undefined> {
  const { path } = state.url;
  const body = await tries(state, signal, async (trySignal) => {
    const { session } = await openFile(state, trySignal);
    const answer = await session.link.request(checksumFrame(path), trySignal);
    return answer.status === STATUS.ok ? textOf(answer.body) : '';
  });
  const hex = /^adler32 ([0-9a-f]{1,8})$/i.exec(body)?.[1];
  return hex === undefined ? undefined : { algorithm: 'adler32', hex: hex.toLowerCase().padStart(8, '0') };
}

function changed({ where }: State, why: string): ColweaveError {
  return new ColweaveError('remote/changed', `the file is not the one that was opened: ${why}`, { where });
}

async function tries<T>(
  state: State,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { options, url, where } = state;
  const server = state.known?.server ?? serverName(url.host, url.port);
  const one = (trySignal: AbortSignal) =>
    work(trySignal).catch((cause: unknown) => {
      throw tryAgainIfWorth(cause);
    });
  return retrying(one, { server, where, policy: options.policy, signal });
}

/** The open file, with tries. */
function fileOf(state: State, signal: AbortSignal | undefined): Promise<RemoteFile> {
  return tries(state, signal, (trySignal) => openFile(state, trySignal));
}

/** The open file; opened again, and known again, where the connection to its server broke. */
async function openFile(state: State, signal: AbortSignal): Promise<RemoteFile> {
  const { file } = state;
  if (file !== undefined && file.session.link.failure === undefined) return file;
  if (file !== undefined) {
    if (/^remote\/(protocol|timeout)$/.test(file.session.link.failure?.code ?? '')) state.outOfStep++;
    forget(state, file);
  }
  // not ended by the signal of one request: others may wait for the same opening
  state.opening ??= openAgain(state, AbortSignal.timeout(state.options.policy.deadlineMs)).finally(() => {
    state.opening = undefined;
  });
  return unlessAborted(state.opening, signal);
}

function forget(state: State, file: RemoteFile): void {
  if (state.file !== file) return;
  state.file = undefined;
  void file.close();
}

async function openAgain(state: State, signal: AbortSignal): Promise<RemoteFile> {
  const { url, where, options } = state;
  const file = await openRemote(url, { where, signal, limits: options.limits });
  try {
    if (state.known === undefined) state.known = { server: file.server, ...file.status };
    else await checkKnown(state, file, signal);
  } catch (cause) {
    void file.close();
    throw cause;
  }
  state.file = file;
  return file;
}

/** On the same server the same inode and time; on another the same size, and the bytes that were read first. */
async function checkKnown(state: State, file: RemoteFile, signal: AbortSignal): Promise<void> {
  const { known, witness } = state;
  const { id, size, modified } = file.status;
  if (size !== known!.size) throw changed(state, `it had ${known!.size} bytes, now it has ${size}`);
  const sameServer = file.server === known!.server;
  if (sameServer && (id !== known!.id || modified !== known!.modified)) throw changed(state, 'it was replaced');
  if (sameServer || witness === undefined) return;
  const { offset, bytes } = witness;
  const again = new Uint8Array(bytes.length);
  const frame = readFrame(file.handle, { offset, length: again.length });
  checkAnswer(state, file, await file.session.link.request(frame, signal, readSink(again)));
  if (Buffer.compare(again, bytes) !== 0) throw changed(state, `${file.server} has another of the same name`);
}
