// Owns one gRPC call with one message each way, over a session of HTTP/2 that is kept, and replaced when the server ends it.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { getCACertificates } from 'node:tls';
import { authorization, RENEW_MS } from './http-call.ts';
import {
  badAnswer,
  httpKind,
  lostError,
  type RefusalKind,
  refusalError,
  retryAfterMs,
  ServerError,
  shown,
} from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** A message is preceded by a flag of compression and its length. */
const PREFIX_BYTES = 5;
/** The largest length that a server of gRPC may be built for. */
const MESSAGE_BYTES_MAX = 2 ** 31 - 1;
/** Room for answers in flight: with the 64 KiB of the standard, each answer would wait for the way back. */
const WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Node refuses streams (ENHANCE_YOUR_CALM) while more than 10 MB of a session wait, which two batches may do. What waits is
 * bounded by who calls: no limit here.
 */
const MEMORY_MB = 1_000_000;
/** One call is begun on so many sessions that end before they answer. */
const SESSIONS_MAX = 3;
/** Triton's, where a URL names none. */
const PORT = 8001;

/** Names and meaning of https://grpc.io/docs/guides/status-codes; a refused index of a saturated site comes as CANCELLED. */
const STATUSES: readonly (readonly [string, RefusalKind])[] = [
  ['OK', 'failed'],
  ['CANCELLED', 'busy'],
  ['UNKNOWN', 'failed'],
  ['INVALID_ARGUMENT', 'invalid'],
  ['DEADLINE_EXCEEDED', 'slow'],
  ['NOT_FOUND', 'absent'],
  ['ALREADY_EXISTS', 'invalid'],
  ['PERMISSION_DENIED', 'credentials'],
  ['RESOURCE_EXHAUSTED', 'busy'],
  ['FAILED_PRECONDITION', 'invalid'],
  ['ABORTED', 'busy'],
  ['OUT_OF_RANGE', 'invalid'],
  ['UNIMPLEMENTED', 'unsupported'],
  ['INTERNAL', 'failed'],
  ['UNAVAILABLE', 'busy'],
  ['DATA_LOSS', 'failed'],
  ['UNAUTHENTICATED', 'credentials'],
];
const RESOURCE_EXHAUSTED = 8;
const MESSAGE_SIZE = /message (?:is )?(?:larger|too large|length|size)|larger than max|max(?:imum)? message/i;

export interface GrpcCaller {
  /** The message of the answer. Errors: a ServerError; the signal's reason. */
  call(path: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<Uint8Array>;
  close(): void;
}

export function grpcCaller(base: URL, url: string, options: ConnectOptions): GrpcCaller {
  const secure = base.protocol === 'grpcs:';
  const port = base.port === '' ? `:${secure ? 443 : PORT}` : '';
  const authority = `${secure ? 'https' : 'http'}://${base.host}${port}`;
  const trust = options.ca === undefined ? {} : { ca: [...getCACertificates('default'), ...options.ca] };
  let current: Session | undefined;
  const session = (): Session => {
    if (current !== undefined && Date.now() - current.since > (options.renewMs ?? RENEW_MS)) current.retire();
    if (current === undefined || current.ending) current = new Session(authority, trust);
    return current;
  };
  const once = (path: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<Uint8Array> =>
    callOnce(session(), { path, parts, url, fixed: authorization(options) }, signal);
  return {
    call: async (path, parts, signal) => {
      for (let n = 1; ; n++) {
        try {
          return await once(path, parts, signal);
        } catch (failure) {
          // the server ended the session politely, or just before it was used again: that says nothing about the server
          if (!(failure instanceof StaleSession) || n === SESSIONS_MAX) throw failure;
        }
      }
    },
    close: () => current?.http2.destroy(),
  };
}

class StaleSession extends ServerError {}

/** One connection. `ending` = no new call may begin on it; those that run may end. */
class Session {
  readonly http2: ClientHttp2Session;
  ending = false;
  /** The server said that it will take no more calls, and why that is no failure. */
  goneAway = false;
  /** When it was connected: calls that wait for that would be lost with it. */
  since = Number.POSITIVE_INFINITY;

  constructor(authority: string, trust: { readonly ca?: readonly string[] }) {
    this.http2 = connect(authority, {
      ...trust,
      maxSessionMemory: MEMORY_MB,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    } as Parameters<typeof connect>[1]);
    this.http2.once('connect', () => {
      this.since = Date.now();
      this.http2.setLocalWindowSize(WINDOW_BYTES);
    });
    this.http2.once('goaway', (code: number) => {
      this.goneAway = code === constants.NGHTTP2_NO_ERROR;
      this.retire();
    });
    // each call sees it on its own stream
    this.http2.on('error', () => this.retire());
    this.http2.once('close', () => {
      this.ending = true;
    });
  }

  retire(): void {
    this.ending = true;
    if (!this.http2.destroyed) this.http2.close();
  }

  /** Nothing came back: the next call goes by another connection. */
  silent(): void {
    this.ending = true;
    if (this.http2.connecting) this.http2.destroy();
    else this.retire();
  }
}

interface Call {
  readonly path: string;
  readonly parts: readonly Uint8Array[];
  readonly url: string;
  readonly fixed: { readonly authorization?: string };
}

function openStream(session: Session, { path, fixed, url }: Call): ClientHttp2Stream {
  try {
    return session.http2.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...fixed,
    });
  } catch (cause) {
    // it ended since it was looked at: request() throws instead of failing later
    session.ending = true;
    throw new StaleSession('infer/unreachable', 'the session was closed', { where: [url], retry: 'elsewhere', cause });
  }
}

function callOnce(session: Session, call: Call, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const stream = openStream(session, call);
    const body = new Body();
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const settle = (): void => signal.removeEventListener('abort', abort);
    const fail = (cause: unknown): void => {
      settle();
      stream.close(constants.NGHTTP2_CANCEL);
      // after GOAWAY a call that is still open when the grace ends gets UNAVAILABLE
      const ended = session.goneAway && cause instanceof ServerError && cause.code === 'infer/overloaded';
      const known = cause === signal.reason || (cause instanceof ServerError && !ended);
      reject(known ? cause : lostCall(session, call.url, cause));
    };
    const abort = (): void => {
      if (signal.reason instanceof ServerError) session.silent();
      fail(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    stream.on('error', fail);
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk: Buffer) => body.add(chunk));
    // with an error it comes too, after it: then all is settled
    stream.on('close', () => {
      try {
        settle();
        if (headers[':status'] === undefined) throw new Error('the stream was closed without an answer');
        resolve(messageOf({ headers, trailers, body, url: call.url }));
      } catch (failure) {
        fail(failure);
      }
    });
    send(stream, call.parts);
  });
}

function send(stream: ClientHttp2Stream, parts: readonly Uint8Array[]): void {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(
    parts.reduce((sum, { length }) => sum + length, 0),
    1,
  );
  stream.cork();
  stream.write(prefix);
  for (const part of parts) stream.write(part);
  stream.end();
  stream.uncork();
}

function lostCall(session: Session, url: string, cause: unknown): ServerError {
  const refused = /REFUSED_STREAM|receiving a GOAWAY/.test(String((cause as Error | undefined)?.message));
  if (!session.goneAway && !refused) return lostError(url, cause);
  return new StaleSession('infer/unreachable', 'the server ended the session', {
    where: [url],
    retry: 'elsewhere',
    cause,
  });
}

/** What came so far, in one array: its size is known from the first bytes. */
class Body {
  #room = Buffer.allocUnsafe(1024);
  #end = 0;

  add(chunk: Buffer): void {
    if (this.#end + chunk.length > this.#room.length) {
      const told = this.#end >= PREFIX_BYTES ? PREFIX_BYTES + this.#room.readUInt32BE(1) : 0;
      // a length that is told is believed as far as bytes have come
      const size = Math.max(this.#end + chunk.length, Math.min(told, 2 * this.#room.length + (1 << 20)));
      const larger = Buffer.allocUnsafe(size);
      this.#room.copy(larger, 0, 0, this.#end);
      this.#room = larger;
    }
    chunk.copy(this.#room, this.#end);
    this.#end += chunk.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#end);
  }
}

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Body;
  readonly url: string;
}

/** The status is in the trailers, or in the first headers when there is no message. */
function messageOf({ headers, trailers, body, url }: Received): Uint8Array {
  const { bytes } = body;
  const status = headers['grpc-status'] ?? trailers['grpc-status'];
  if (status === undefined) {
    const http = Number(headers[':status']);
    const text = shown(bytes);
    if (http !== 200) {
      const retryAfter = retryAfterMs(headers['retry-after'] as string | undefined, Date.now());
      throw refusalError(httpKind(http), { status: `HTTP ${http}`, text, where: [url], retryAfterMs: retryAfter });
    }
    if (!/^application\/grpc/.test(headers['content-type'] ?? '')) {
      throw badAnswer(url, `the answer is not gRPC: ${text}`, 'is this the gRPC port of the server?');
    }
    throw lostError(url, new Error('the stream ended without a status'));
  }
  if (Number(status) !== 0) throw refusal(Number(status), { headers, trailers, url });
  if (bytes.length < PREFIX_BYTES) throw badAnswer(url, 'the answer has no message');
  if (bytes[0] !== 0) throw badAnswer(url, 'the answer is compressed, which was not asked for');
  const length = bytes.readUInt32BE(1);
  if (length > MESSAGE_BYTES_MAX || length !== bytes.length - PREFIX_BYTES) {
    throw badAnswer(url, `the answer has ${bytes.length - PREFIX_BYTES} bytes, and says ${length}`);
  }
  // no Buffer: its slice() is a view, where that of every other array is a copy
  return new Uint8Array(bytes.buffer, bytes.byteOffset + PREFIX_BYTES, length);
}

function refusal(status: number, { headers, trailers, url }: Omit<Received, 'body'>): ServerError {
  const [name, kind] = STATUSES[status] ?? [`status ${status}`, 'failed' as const];
  const text = percentDecoded(String(trailers['grpc-message'] ?? headers['grpc-message'] ?? ''));
  const pushback = Number(trailers['grpc-retry-pushback-ms'] ?? headers['grpc-retry-pushback-ms']);
  const large = status === RESOURCE_EXHAUSTED && MESSAGE_SIZE.test(text);
  return refusalError(large ? 'too-large' : kind, {
    status: name,
    text: shown(Buffer.from(text)),
    where: [url],
    retryAfterMs: Number.isFinite(pushback) && pushback >= 0 ? pushback : undefined,
  });
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
