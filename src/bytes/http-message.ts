// Owns one HTTP request and its answer: time-outs for each stage, names of headers as they are written, bytes counted.
// XrdHttp before 5.7 takes `range:` for another header than `Range:`, so nothing here changes the case of a name.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { authorities, authorityFolder, findProxy, type GridProxy } from './credentials.ts';
import { TryAgain } from './retry.ts';

// an import of its names would load all that Node has behind any of them, undici too: 50 ms in every thread
const { Agent: HttpAgent, request: requestHttp } = process.getBuiltinModule('node:http');

/** How long each stage of a request may take. */
export interface Patience {
  /** Name look-up, connection and TLS. */
  readonly connectMs: number;
  /** From then to the first line of the answer: a door may have to look for a replica. */
  readonly answerMs: number;
  /** In each such stretch of time some bytes must come. */
  readonly stallMs: number;
  readonly stallBytesMin: number;
}

export const PATIENCE: Patience = { connectMs: 15_000, answerMs: 60_000, stallMs: 20_000, stallBytesMin: 2048 };

export interface Ask {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Presents the proxy when the server asks for a certificate. */
  readonly withProxy: boolean;
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Gives all bytes of the body, in order. Errors: TryAgain where it breaks off or stops; what `onBytes` throws. */
  read(onBytes: (bytes: Uint8Array) => void): Promise<void>;
  /** The beginning of the body as text: what a server says of an error. */
  text(): Promise<string>;
  /** Gives the body up, and with it the connection. */
  drop(): void;
}

/** What of an error's text is worth reading. */
const TEXT_BYTES_MAX = 8192;
/** Requests at a time are bounded by who makes them: this is only a lid. */
const SOCKETS_MAX = 64;
const KEEP_ALIVE = { keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: SOCKETS_MAX, timeout: 0 };

const plain = new HttpAgent(KEEP_ALIVE);
/** By what decides who the client is: folder of authorities, and proxy or none. */
const secure = new Map<string, HttpsAgent>();

function agentFor(proxy: GridProxy | undefined): HttpsAgent {
  const key = `${authorityFolder()}\n${proxy?.path ?? ''}\n${proxy?.expires.getTime() ?? ''}`;
  let agent = secure.get(key);
  if (agent === undefined) {
    const pem = proxy?.reveal();
    // made once: as separate options, the authorities would be put together into the key of each connection
    const secureContext = createSecureContext({
      ca: authorities(),
      ...(pem === undefined ? {} : { cert: pem, key: pem }),
    });
    agent = new HttpsAgent({ ...KEEP_ALIVE, secureContext });
    secure.set(key, agent);
  }
  return agent;
}

/** Sends a request. Errors: TryAgain; credentials/no-ca, credentials/absent and credentials/refused where TLS fails. */
export function send(ask: Ask): Promise<Answer> {
  const { method, url, headers, body, withProxy, patience, signal } = ask;
  signal.throwIfAborted();
  const isTls = url.protocol === 'https:';
  const proxy = isTls && withProxy ? findProxy().usable : undefined;
  const options = { method, headers, agent: isTls ? agentFor(proxy) : plain };
  const traffic = trafficOf(url.origin);
  traffic.requests++;
  return new Promise((resolve, reject) => {
    const request = (isTls ? requestHttps : requestHttp)(url, options);
    const timer = timerFor((stage, ms) => request.destroy(new Late(stage, ms)));
    const onAbort = () => request.destroy(new Error('given up'));
    const fail = (cause: unknown) => {
      timer.stop();
      signal.removeEventListener('abort', onAbort);
      if (signal.aborted) reject(signal.reason);
      else reject(failureOf(cause, url, request.reusedSocket, proxy));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    request.on('socket', (socket: Socket) => {
      request.once('close', () => countBytes(socket, url.origin));
      const connected = () => timer.start('answer', patience.answerMs);
      if (!socket.connecting) return connected();
      timer.start('connect', patience.connectMs);
      socket.once(isTls ? 'secureConnect' : 'connect', connected);
    });
    request.on('error', fail);
    request.on('response', (response) => {
      timer.stop();
      signal.removeEventListener('abort', onAbort);
      resolve(answerOf(response, ask));
    });
    if (body !== undefined) traffic.bytesTravelled += body.length;
    request.end(body);
  });
}

/** Bytes of each connection that are counted already. */
const counted = new WeakMap<Socket, number>();

/** A connection carries one request at a time: what it read since the last is the answer, headers and all. */
function countBytes(socket: Socket, server: string): void {
  const now = socket.bytesRead;
  trafficOf(server).bytesTravelled += now - (counted.get(socket) ?? 0);
  counted.set(socket, now);
}

class Late extends Error {
  override readonly name = 'Late';
  readonly stage: string;
  readonly ms: number;

  constructor(stage: string, ms: number) {
    super(`no ${stage} within ${ms / 1000} s`);
    this.stage = stage;
    this.ms = ms;
  }
}

interface Timer {
  start(stage: string, ms: number): void;
  stop(): void;
}

function timerFor(late: (stage: string, ms: number) => void): Timer {
  let timer: NodeJS.Timeout | undefined;
  return {
    start(stage, ms) {
      clearTimeout(timer);
      timer = setTimeout(() => late(stage, ms), ms);
    },
    stop: () => clearTimeout(timer),
  };
}

function answerOf(response: IncomingMessage, { url, patience, signal }: Ask): Answer {
  const { socket } = response; // gone from the answer once that is whole
  const read = (onBytes: (bytes: Uint8Array) => void) =>
    new Promise<void>((resolve, reject) => {
      let since = 0;
      const watch = setInterval(() => {
        if (since < patience.stallBytesMin) response.destroy(new Late('further bytes', patience.stallMs));
        since = 0;
      }, patience.stallMs);
      const onAbort = () => response.destroy(new Error('given up'));
      const end = (settle: () => void) => {
        if (socket) countBytes(socket, url.origin);
        clearInterval(watch);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const fail = (cause: unknown) =>
        end(() => reject(signal.aborted ? signal.reason : failureOf(cause, url, false, undefined)));
      signal.addEventListener('abort', onAbort, { once: true });
      response.on('data', (bytes: Uint8Array) => {
        since += bytes.length;
        try {
          onBytes(bytes);
        } catch (cause) {
          end(() => reject(cause));
          response.destroy();
        }
      });
      response.on('error', fail);
      response.on('end', () => {
        if (response.complete) end(resolve);
        else fail(new Error('the answer broke off'));
      });
      response.on('close', () => {
        if (!response.complete) fail(new Error('the answer broke off'));
      });
      if (signal.aborted) onAbort();
    });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    read,
    async text() {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      const enough = new Error('enough');
      await read((chunk) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > TEXT_BYTES_MAX) throw enough;
      }).catch((cause) => {
        if (signal.aborted) throw cause;
      });
      return Buffer.concat(chunks).toString('utf8', 0, TEXT_BYTES_MAX);
    },
    drop: () => response.destroy(),
  };
}

/** What TLS says of a server's certificate. */
const UNTRUSTED =
  /^(UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|(DEPTH_ZERO_)?SELF_SIGNED_CERT(_IN_CHAIN)?|CERT_(UNTRUSTED|SIGNATURE_FAILURE|HAS_EXPIRED|NOT_YET_VALID)|ERR_TLS_CERT_ALTNAME_INVALID)$/;
/** What a server says of ours. */
const CERTIFICATE_REFUSED =
  /ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE|UNSUPPORTED_CERT)/;
/** A name that nobody knows stays unknown. */
const NO_SUCH_HOST = 'ENOTFOUND';

/** Never the system's own text of an address list, which differs by machine. */
function failureOf(cause: unknown, url: URL, reused: boolean, proxy: GridProxy | undefined): unknown {
  if (cause instanceof ColweaveError || cause instanceof TryAgain) return cause;
  const where = [url.href];
  const code = String((cause as NodeJS.ErrnoException).code ?? '');
  const text = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof Late) {
    return new TryAgain(new ColweaveError('remote/timeout', `${text} from ${url.host}`, { where }));
  }
  if (UNTRUSTED.test(code)) {
    return new ColweaveError('credentials/no-ca', `the certificate of ${url.host} cannot be trusted: ${text}`, {
      where,
      hint: `authorities were looked for in Node's own list and in ${authorityFolder()} (X509_CERT_DIR names another folder)`,
    });
  }
  if (CERTIFICATE_REFUSED.test(code)) {
    const message =
      proxy === undefined
        ? `${url.host} asks for a certificate, and no proxy was found`
        : `${url.host} refused the proxy of ${proxy.path}`;
    return new ColweaveError(proxy === undefined ? 'credentials/absent' : 'credentials/refused', message, { where });
  }
  if (code === NO_SUCH_HOST) {
    return new ColweaveError('remote/unreachable', `no server is called ${url.hostname}`, { where });
  }
  const why =
    code === 'ECONNREFUSED'
      ? 'nothing listens there'
      : code === ''
        ? text
        : `${text} (${code})`.replace(/^(.*?) \(\1\)$/, '$1');
  const error = new ColweaveError('remote/unreachable', `${url.host} cannot be read from: ${why}`, { where });
  // a kept connection that the server had closed already says nothing about the server
  return reused ? new TryAgain(error, 0) : new TryAgain(error);
}
