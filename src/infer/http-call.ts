// Owns one HTTP exchange with a server: reused connections, a body in parts, limits on what comes back, and failures with a name.
import { Agent, type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { getCACertificates } from 'node:tls';
import { badAnswer, lostError, ServerError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** SuperSONIC's balancer counts new connections: few, and kept; as many as requests in flight, and some to ask how it is. */
const CONNECTIONS_MAX = 10;
/** Servers that are added behind a balancer get their part after this time. */
export const RENEW_MS = 120_000;
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
  const agents = renewedAgents(secure, options);
  const below = base.pathname.replace(/\/+$/, '');
  const requestOf = (exchange: HttpExchange): RequestOptions => ({
    agent: agents.current(),
    // URL keeps the brackets of an IPv6 address
    host: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port === '' ? (secure ? 443 : 80) : base.port,
    method: exchange.method,
    path: below + exchange.path,
    headers: {
      ...authorization(options),
      ...exchange.headers,
      'content-length': String(bytesOf(exchange.parts ?? [])),
    },
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
    close: () => agents.close(),
  };
}

export function authorization({ token }: ConnectOptions): { readonly authorization?: string } {
  const now = typeof token === 'function' ? token() : token;
  return now === undefined ? {} : { authorization: `Bearer ${now}` };
}

/** Agents in place of one: an old one keeps no connection that becomes free. */
function renewedAgents(secure: boolean, { connectionsMax, renewMs = RENEW_MS, ca }: ConnectOptions) {
  const setting = {
    keepAlive: true,
    maxSockets: connectionsMax ?? CONNECTIONS_MAX,
    // the latest used is the least likely to be closed by the server meanwhile
    scheduling: 'lifo' as const,
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ...ca] }),
  };
  const make = (): Agent => (secure ? new SecureAgent(setting) : new Agent(setting));
  let agent = make();
  let since = Date.now();
  const all = new Set([agent]);
  return {
    current: (): Agent => {
      if (Date.now() - since <= renewMs) return agent;
      agent.maxFreeSockets = 0;
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
      for (const each of all) if (Object.keys(each.sockets).length === 0) all.delete(each);
      agent = make();
      all.add(agent);
      since = Date.now();
      return agent;
    },
    close: (): void => {
      for (const each of all) each.destroy();
    },
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

/** The whole body; an array of an error is cut, and its connection given up. */
function receive(response: IncomingMessage, url: string): Promise<HttpAnswer> {
  const { statusCode: status = 0, headers } = response;
  const good = status >= 200 && status < 300;
  return new Promise((resolve, reject) => {
    const body = new Body(headers, url);
    response.on('data', (chunk: Buffer) => {
      try {
        body.add(chunk);
      } catch (failure) {
        reject(failure);
        response.destroy();
      }
      if (good || body.length <= ERROR_BYTES_MAX) return;
      resolve({ status, headers, body: body.bytes });
      response.destroy();
    });
    response.on('end', () => resolve({ status, headers, body: body.bytes }));
    response.on('error', reject);
    // comes last, whatever came before
    response.on('close', () => reject(new Error('the connection was closed within an answer')));
  });
}

/** What came so far, in one array whose binary part is aligned when the server says where it begins. */
class Body {
  readonly #told: number | undefined;
  readonly #lead: number;
  readonly #url: string;
  #room: Buffer;
  #end: number;

  constructor(headers: IncomingMessage['headers'], url: string) {
    const told = headers['content-length'];
    this.#told = told === undefined ? undefined : Number(told);
    const json = Number(headers['inference-header-content-length'] ?? 0);
    this.#lead = Number.isSafeInteger(json) && json > 0 ? (ALIGNMENT - (json % ALIGNMENT)) % ALIGNMENT : 0;
    this.#url = url;
    // a length that is told is not believed before bytes come: an array of 1 MiB is enough to begin with
    this.#room = Buffer.allocUnsafe(this.#lead + Math.min(this.#told ?? 0, 1 << 20) + 1024);
    this.#end = this.#lead;
  }

  add(chunk: Buffer): void {
    const end = this.#end + chunk.length;
    if (end > ANSWER_BYTES_MAX) throw badAnswer(this.#url, `an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    if (end > this.#room.length) {
      const size = this.#told === undefined ? 2 * this.#room.length : this.#lead + this.#told;
      const larger = Buffer.allocUnsafe(Math.min(Math.max(end, size), ANSWER_BYTES_MAX));
      this.#room.copy(larger, 0, 0, this.#end);
      this.#room = larger;
    }
    chunk.copy(this.#room, this.#end);
    this.#end = end;
  }

  get length(): number {
    return this.#end - this.#lead;
  }

  /** No Buffer: its slice() is a view, where that of every other array is a copy. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#room.buffer, this.#room.byteOffset + this.#lead, this.length);
  }
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
