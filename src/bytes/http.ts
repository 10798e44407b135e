// Owns the byte store http(s):// and dav(s)://: ranges of one object, several a request where the server can, every answer checked.

import { ColweaveError } from '../core/errors.ts';
import { HEAD_BYTES } from './block-cache.ts';
import { trafficOf } from './counted.ts';
import { askDoor, type Door, type DoorOptions, doorTo, replaced } from './http-door.ts';
import type { Answer } from './http-message.ts';
import { BadAnswer, boundaryOf, fillerOf, parseContentRange, readParts } from './multipart.ts';
import { inParallel } from './parallel.ts';
import { layOut, type Piece, toRequests } from './ranges.ts';
import { retrying, TryAgain } from './retry.ts';
import type { ByteRange, ByteStore, Digest } from './types.ts';

/** Servers without ETag: so much of the head comes with each request, as its UUID tells whether the file is the same. */
const GUARD_BYTES = 384;
/** A run of bytes is cut so that several connections carry it; longer ones make retries dear. */
const PIECE_BYTES_MAX = 8 * 2 ** 20;
/** Pieces above this travel alone: XrdHttp bounds those of a multi-range request (512 KiB in its current source). */
const SHARED_PIECE_BYTES_MAX = 256 * 1024;
const REQUEST_BYTES_MAX = 4 * 2 ** 20;
/** Where pieces are requests, one costs a journey: gaps up to this are cheaper to read. */
const GAP_BYTES_MAX = 64 * 1024;
const PARALLEL_MULTI = 4;
const PARALLEL_SINGLE = 16;
/** Pieces a request, tried from the left: a header of 200 ranges stays below the 8 KiB that servers take. */
const STEPS = [200, 20, 1] as const;

export interface HttpOptions extends DoorOptions {
  /** Servers of S3 answer several ranges with an error or the whole object: they are asked for single ones. */
  readonly multiRange?: boolean;
}

/** What is known of the object since it was opened. */
interface Remote {
  readonly door: Door;
  readonly server: string;
  readonly size: number;
  readonly head: Uint8Array;
  readonly etag: string | undefined;
  readonly modified: string | undefined;
  /** Most pieces a request: index into STEPS, which only grows. */
  step: number;
}

/** `dav` and `davs` are what grid tools call http and https. */
export function httpUrl(uri: string): URL {
  const text = uri.replace(/^dav(s?):/i, 'http$1:');
  if (!URL.canParse(text)) throw new ColweaveError('source/not-found', 'it is no URL', { where: [uri] });
  const url = new URL(text);
  url.hash = '';
  return url;
}

/** Errors: those of askDoor, source/remote where the server cannot send parts of a file. */
export async function openHttp(uri: string, options: HttpOptions = {}, signal?: AbortSignal): Promise<ByteStore> {
  const door = doorTo(uri, options.url ?? httpUrl(uri), options);
  const server = door.url.origin;
  const remote = await retrying((signal) => lookAt(door, server, options, signal), {
    server,
    where: [uri],
    policy: door.policy,
    signal,
  });
  return {
    uri,
    size: remote.size,
    isRemote: true,
    read: (ranges, signal) => readRanges(remote, ranges, undefined, signal),
    readInto: (ranges, room, signal) => readRanges(remote, ranges, room, signal),
    checksum: (signal) => checksumOf(remote, signal),
    close: async () => {},
  };
}

/** The head of the object, which tells its size and whether parts can be read. */
async function lookAt(
  door: Door,
  server: string,
  options: HttpOptions,
  signal: AbortSignal,
  asked = HEAD_BYTES,
): Promise<Remote> {
  const headers = { Range: `bytes=0-${asked - 1}` };
  const answer = await askDoor(door, { method: 'GET', headers, signal, expects: [416] });
  const known = (size: number, head: Uint8Array): Remote => ({
    ...{ door, server, size, head },
    etag: answer.headers.etag,
    modified: answer.headers['last-modified'],
    step: options.multiRange === false ? STEPS.length - 1 : 0,
  });
  if (answer.status === 416) {
    answer.drop();
    if (/\/0\s*$/.test(answer.headers['content-range'] ?? '')) return known(0, new Uint8Array(0));
    throw protocol(door, 'it does not give the beginning of the file');
  }
  if (answer.status !== 206) {
    const length = lengthOf(answer);
    if (length !== undefined && length <= HEAD_BYTES) return known(length, await bodyOf(door, answer, length));
    answer.drop();
    throw new ColweaveError('source/remote', `${door.url.host} sends files only as a whole`, {
      where: [door.uri],
      hint: 'bring the file here first (curl or gfal-copy)',
    });
  }
  const range = parseContentRange(answer.headers['content-range']);
  if (range === undefined || range.start !== 0 || range.end > asked) {
    answer.drop();
    const text = answer.headers['content-range'] ?? '';
    // XrdHttp 5.5 promises bytes beyond the end, and never sends them: short files are asked for by their own size
    const size = /^bytes 0-\d+\/(\d+)$/.exec(text)?.[1];
    if (size !== undefined && Number(size) > 0 && Number(size) < asked) {
      return lookAt(door, server, options, signal, Number(size));
    }
    throw protocol(door, `it was asked for the beginning and sent "${text}"`);
  }
  const head = await bodyOf(door, answer, range.end);
  const size = range.size ?? (await sizeByHead(door, signal));
  if (range.end !== Math.min(size, asked)) throw protocol(door, 'it sent less than was asked for');
  return known(size, head);
}

async function sizeByHead(door: Door, signal: AbortSignal): Promise<number> {
  const answer = await askDoor(door, { method: 'HEAD', headers: {}, signal, expects: [] });
  answer.drop();
  const length = lengthOf(answer);
  if (length === undefined)
    throw new ColweaveError('source/remote', `${door.url.host} does not say how long the file is`, {
      where: [door.uri],
    });
  return length;
}

function lengthOf({ headers }: Answer): number | undefined {
  const length = Number(headers['content-length'] ?? Number.NaN);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

async function bodyOf(door: Door, answer: Answer, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  await answer.read((chunk) => {
    if (at + chunk.length > length) throw protocol(door, 'it sent more than it said');
    bytes.set(chunk, at);
    at += chunk.length;
  });
  if (at !== length) throw protocol(door, 'it sent less than it said');
  return bytes;
}

async function readRanges(
  remote: Remote,
  ranges: readonly ByteRange[],
  room: Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly Uint8Array[]> {
  const { door, size, head, server } = remote;
  for (const { length } of ranges) trafficOf(server).bytesAsked += length;
  const inHead = ranges.every(({ offset, length }) => offset >= 0 && length >= 0 && offset + length <= head.length);
  if (inHead) return ranges.map(({ offset, length }) => head.subarray(offset, offset + length));
  const single = remote.step === STEPS.length - 1;
  const limits = { pieceBytesMax: PIECE_BYTES_MAX, gapBytesMax: GAP_BYTES_MAX, wastePart: single ? 4 : 100 };
  const { pieces, arrays } = layOut(door.uri, size, ranges, limits, room);
  await fill(remote, pieces, signal);
  if (!hasValidator(remote) && remote.step === STEPS.length - 1) await checkGuard(remote, signal);
  return arrays;
}

/** Long pieces alone, short ones together; what the server does not take in one request is asked for in smaller ones. */
async function fill(remote: Remote, pieces: readonly Piece[], signal: AbortSignal | undefined): Promise<void> {
  const piecesMax = STEPS[remote.step]!;
  const isLong = ({ into }: Piece) => into.length > SHARED_PIECE_BYTES_MAX;
  const together = toRequests(
    pieces.filter((piece) => !isLong(piece)),
    { piecesMax, requestBytesMax: REQUEST_BYTES_MAX },
  );
  const requests = [...pieces.filter(isLong).map((piece) => [piece]), ...together];
  await inParallel(requests, piecesMax > 1 ? PARALLEL_MULTI : PARALLEL_SINGLE, async (request) => {
    const step = remote.step;
    const done = await retrying((signal) => askPieces(remote, request, signal), {
      server: remote.server,
      where: [remote.door.uri],
      policy: remote.door.policy,
      signal,
    });
    if (done) return;
    remote.step = Math.max(remote.step, Math.min(step + 1, STEPS.length - 1));
    await fill(remote, request, signal);
  });
}

function hasValidator({ etag, modified }: Remote): boolean {
  return etag !== undefined || modified !== undefined;
}

/** Fills the pieces by one request. False: the server does not do so many ranges at once. */
async function askPieces(remote: Remote, wanted: readonly Piece[], signal: AbortSignal): Promise<boolean> {
  const { door, etag } = remote;
  const guard = guardFor(remote, wanted);
  const pieces = guard === undefined ? wanted : [guard, ...wanted];
  const isMulti = pieces.length > 1;
  const ranges = pieces.map(({ offset, into }) => `${offset}-${offset + into.length - 1}`);
  const headers = {
    Range: `bytes=${ranges.join(',')}`,
    ...(etag === undefined || etag.startsWith('W/') ? {} : { 'If-Match': etag }),
  };
  const expects = isMulti ? [400, 413, 416, 431, 501] : [416];
  const answer = await askDoor(door, { method: 'GET', headers, signal, expects });
  if (answer.status !== 206) {
    answer.drop();
    if (isMulti) return false;
    if (answer.status === 416) throw replaced(door);
    throw protocol(door, 'it sent the whole file where a part was asked for');
  }
  try {
    checkSame(remote, answer);
    const full = await takeBody(remote, answer, pieces);
    if (!full && isMulti) return false;
    if (!full) throw protocol(door, 'it sent less than was asked for');
    if (guard !== undefined) compareGuard(remote, guard.into);
    return true;
  } catch (cause) {
    answer.drop();
    throw cause instanceof BadAnswer ? protocol(door, cause.message) : cause;
  }
}

/** Rides along in front of what is wanted, where the server gives nothing else to tell a file from its successor. */
function guardFor(remote: Remote, wanted: readonly Piece[]): Piece | undefined {
  const length = Math.min(GUARD_BYTES, remote.head.length);
  const first = wanted[0]!;
  if (hasValidator(remote) || STEPS[remote.step] === 1 || first.offset < length) return undefined;
  return { offset: 0, into: new Uint8Array(length) };
}

function compareGuard({ door, head }: Remote, bytes: Uint8Array): void {
  if (Buffer.compare(head.subarray(0, bytes.length), bytes) !== 0) throw replaced(door);
}

async function checkGuard(remote: Remote, signal: AbortSignal | undefined): Promise<void> {
  const piece = { offset: 0, into: new Uint8Array(Math.min(GUARD_BYTES, remote.head.length)) };
  const { door, server } = remote;
  await retrying((each) => askPieces(remote, [piece], each), {
    server,
    where: [door.uri],
    policy: door.policy,
    signal,
  });
  compareGuard(remote, piece.into);
}

function checkSame({ door, etag, modified }: Remote, { headers }: Answer): void {
  const other = (before: string | undefined, now: string | undefined) =>
    before !== undefined && now !== undefined && before !== now;
  if (other(etag, headers.etag) || other(modified, headers['last-modified'])) throw replaced(door);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new BadAnswer(`it sent the bytes as ${encoding}`);
}

/** Are all pieces full? Errors: BadAnswer, remote/changed. */
async function takeBody(remote: Remote, answer: Answer, pieces: readonly Piece[]): Promise<boolean> {
  const { door, size } = remote;
  const filler = fillerOf(pieces);
  const sized = (other: number | undefined) => {
    if (other !== undefined && other !== size) throw replaced(door);
  };
  const boundary = boundaryOf(answer.headers['content-type']);
  if (boundary !== undefined) {
    const parts = readParts(boundary, (range) => sized(range.size), filler.put);
    await answer.read(parts.take);
    parts.end();
    return filler.isFull;
  }
  const text = answer.headers['content-range'];
  const range = parseContentRange(text);
  if (range === undefined) throw new BadAnswer('it does not say which bytes it sent');
  sized(range.size);
  const [first] = pieces;
  if (pieces.length === 1 && (range.start !== first!.offset || range.end !== first!.offset + first!.into.length)) {
    throw new BadAnswer(`it sent "${text}", which is not what was asked for`);
  }
  let at = range.start;
  await answer.read((bytes) => {
    if (at + bytes.length > range.end) throw new BadAnswer('it sent more than it said');
    filler.put(at, bytes);
    at += bytes.length;
  });
  if (at !== range.end) throw new BadAnswer('it sent less than it said');
  return filler.isFull;
}

/** The server's own sum of the whole file (RFC 3230), where it has one: grid servers keep adler32. */
async function checksumOf({ door, server }: Remote, signal: AbortSignal | undefined): Promise<Digest | undefined> {
  const headers = { 'Want-Digest': 'adler32' };
  const ask = async (signal: AbortSignal) => {
    const answer = await askDoor(door, { method: 'HEAD', headers, signal, expects: [400, 403, 405, 501] });
    answer.drop();
    return answer.headers.digest;
  };
  const text = await retrying(ask, { server, where: [door.uri], policy: door.policy, signal });
  const match = /(?:^|,)\s*adler32=([0-9a-f]{1,8})\s*(?:,|$)/i.exec(typeof text === 'string' ? text : '');
  return match === null ? undefined : { algorithm: 'adler32', hex: match[1]!.toLowerCase().padStart(8, '0') };
}

function protocol(door: Door, what: string): TryAgain {
  const message = `${door.url.host} gives a wrong answer: ${what}`;
  return new TryAgain(new ColweaveError('remote/protocol', message, { where: [door.uri] }));
}
