// Owns one HTTP exchange with a server: reused connections, a body in parts, limits on what comes back, and failures with a name.
import { Agent, type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { getCACertificates } from 'node:tls';
import { badAnswer, lostError, ServerError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** SuperSONIC's balancer counts new connections: few, and kept; as many as requests in flight, and some to ask how it is. */
const CONNECTIONS_MAX = 10;
/** A body of error is read up to here, and shown up to less. */
const ERROR_BYTES_MAX = 64 * 1024;
/** What one array of Node can hold for certain. */
const ANSWER_BYTES_MAX = 2 ** 31 - 1;
/** An array of float64 may be laid over the tensors of an answer. */
const ALIGNMENT = 8;

export interface HttpCaller {
  readonly base: URL;
  call(exchange: HttpExchange, signal: AbortSignal): Promise<HttpAnswer>;
  close(): void;
}

export interface HttpExchange {
  readonly method: 'GET' | 'POST';
  /** Below the base URL, such as `/v2/health/ready`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly parts?: readonly Uint8Array[];
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
}

export function httpCaller(base: URL, options: ConnectOptions): HttpCaller {
  const secure = base.protocol === 'https:';
  const setting = {
    keepAlive: true,
    maxSockets: options.connectionsMax ?? CONNECTIONS_MAX,
    // the latest used is the least likely to be closed by the server meanwhile
    scheduling: 'lifo' as const,
  };
  const trust = options.ca === undefined ? {} : { ca: [...getCACertificates('default'), ...options.ca] };
  const agent = secure ? new SecureAgent({ ...setting, ...trust }) : new Agent(setting);
  const below = base.pathname.replace(/\/+$/, '');
  const fixed = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const requestOf = (exchange: HttpExchange): RequestOptions => ({
    agent,
    // URL keeps the brackets of an IPv6 address
    host: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port === '' ? (secure ? 443 : 80) : base.port,
    method: exchange.method,
    path: below + exchange.path,
    headers: { ...fixed, ...exchange.headers, 'content-length': String(bytesOf(exchange.parts ?? [])) },
  });
  const send = secure ? secureRequest : plainRequest;
  const once = (exchange: HttpExchange, signal: AbortSignal): Promise<HttpAnswer> =>
    exchangeOnce({ send, options: requestOf(exchange), exchange, url: base.href }, signal);
  return {
    base,
    call: async (exchange, signal) => {
      try {
        return await once(exchange, signal);
      } catch (failure) {
        // the server closed a kept connection just when it was used again: that says nothing about the server
        if (failure instanceof StaleConnection) return await once(exchange, signal);
        throw failure;
      }
    },
    close: () => agent.destroy(),
  };
}

class StaleConnection extends ServerError {}

interface Sending {
  readonly send: typeof plainRequest;
  readonly options: RequestOptions;
  readonly exchange: HttpExchange;
  readonly url: string;
}

function exchangeOnce(sending: Sending, signal: AbortSignal): Promise<HttpAnswer> {
  const { url, exchange } = sending;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const request = sending.send(sending.options);
    let answered = false;
    const settle = (): void => signal.removeEventListener('abort', abort);
    const fail = (cause: unknown): void => {
      settle();
      request.destroy();
      if (cause === signal.reason || cause instanceof ServerError) reject(cause);
      else if (request.reusedSocket && !answered) {
        reject(
          new StaleConnection('infer/unreachable', 'the connection was closed', {
            where: [url],
            retry: 'elsewhere',
            cause,
          }),
        );
      } else reject(lostError(url, cause));
    };
    const abort = (): void => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    request.on('error', fail);
    request.on('response', (response) => {
      answered = true;
      receive(response, url).then((answer) => {
        settle();
        resolve(answer);
      }, fail);
    });
    for (const part of exchange.parts ?? []) request.write(part);
    request.end();
  });
}

/** The whole body, in one array whose binary part is aligned when the server says where it begins. */
async function receive(response: IncomingMessage, url: string): Promise<HttpAnswer> {
  const status = response.statusCode ?? 0;
  const { headers } = response;
  const good = status >= 200 && status < 300;
  const told = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  if (good && told !== undefined && told > ANSWER_BYTES_MAX) throw badAnswer(url, `an answer of ${told} bytes`);
  const json = Number(headers['inference-header-content-length'] ?? 0);
  const lead = Number.isSafeInteger(json) && json > 0 ? (ALIGNMENT - (json % ALIGNMENT)) % ALIGNMENT : 0;
  // a length that is told is not believed before bytes come: an array of 1 MiB is enough to begin with
  let room = Buffer.allocUnsafe(lead + Math.min(told ?? 0, 1 << 20) + 1024);
  let end = lead;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (end + chunk.length > room.length) {
      const size = told === undefined ? 2 * room.length : lead + told;
      const larger = Buffer.allocUnsafe(Math.min(Math.max(end + chunk.length, size), ANSWER_BYTES_MAX));
      room.copy(larger, 0, 0, end);
      room = larger;
    }
    if (end + chunk.length > room.length) throw badAnswer(url, `an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    chunk.copy(room, end);
    end += chunk.length;
    if (!good && end - lead > ERROR_BYTES_MAX) break;
  }
  // no Buffer: its slice() is a view, where that of every other array is a copy
  return { status, headers, body: new Uint8Array(room.buffer, room.byteOffset + lead, end - lead) };
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
