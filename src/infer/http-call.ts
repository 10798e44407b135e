// Owns the exchanges with one HTTP server: few and kept connections, of which each carries one question at a time.
// On net and tls, not node:http: that took twice the processor time of a request of 1024 rows (test/bench/infer_transport.ts).
import { Gate } from './gate.ts';
import type { HttpAnswer } from './http-answer.ts';
import { dialer, HttpConnection, StaleConnection } from './http-connection.ts';
import { lostError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** SuperSONIC's balancer counts new connections: few, and kept; as many as requests in flight, and some to ask how it is. */
const CONNECTIONS_MAX = 10;
/** Servers that are added behind a balancer get their part after this time. */
export const RENEW_MS = 120_000;

export interface HttpCaller {
  /** Errors: a ServerError; the signal's reason. */
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

export function httpCaller(base: URL, options: ConnectOptions): HttpCaller {
  const pool = connectionPool(base, options);
  const { host } = base; // a getter that makes it anew
  const below = base.pathname.replace(/\/+$/, '');
  const headOf = ({ method, path, headers = {}, parts = [] }: HttpExchange): string => {
    const given = { ...authorization(options), ...headers };
    let lines = '';
    for (const name in given) lines += `${name}: ${given[name as keyof typeof given]}\r\n`;
    let length = 0;
    for (const part of parts) length += part.length;
    return `${method} ${below}${path} HTTP/1.1\r\nhost: ${host}\r\n${lines}content-length: ${length}\r\n\r\n`;
  };
  const once = async (exchange: HttpExchange, fresh: boolean, signal: AbortSignal): Promise<HttpAnswer> => {
    const connection = await pool.take(fresh, signal);
    try {
      return await connection.ask(headOf(exchange), exchange.parts ?? [], signal);
    } finally {
      pool.giveBack(connection);
    }
  };
  return {
    call: async (exchange, signal) => {
      try {
        return await once(exchange, false, signal);
      } catch (failure) {
        // once more, by a connection that nobody can have closed meanwhile
        if (failure instanceof StaleConnection) return await once(exchange, true, signal);
        throw failure;
      }
    },
    close: () => pool.close(),
  };
}

export function authorization({ token }: ConnectOptions): { readonly authorization?: string } {
  const now = typeof token === 'function' ? token() : token;
  return now === undefined ? {} : { authorization: `Bearer ${now}` };
}

/** So many connections at most, of which old ones are not used again. */
function connectionPool(base: URL, options: ConnectOptions) {
  const { connectionsMax = CONNECTIONS_MAX, renewMs = RENEW_MS } = options;
  const dial = dialer(base, options);
  const all = new Set<HttpConnection>();
  /** The latest used last: it is the least likely to be closed by the server meanwhile. */
  const free: HttpConnection[] = [];
  const room = new Gate();
  let isClosed = false;
  const isGood = (connection: HttpConnection): boolean => connection.isOpen && Date.now() - connection.since <= renewMs;
  const open = (): HttpConnection => {
    const connection = new HttpConnection(dial(), base.href, (closed) => {
      all.delete(closed);
      if (free.includes(closed)) free.splice(free.indexOf(closed), 1);
      room.open();
    });
    all.add(connection);
    return connection;
  };
  return {
    async take(fresh: boolean, signal: AbortSignal): Promise<HttpConnection> {
      for (;;) {
        signal.throwIfAborted();
        if (isClosed) throw lostError(base.href, new Error('the connections were closed'));
        const connection = free.pop();
        if (connection !== undefined && isGood(connection) && !fresh) return connection;
        connection?.close();
        if (all.size < connectionsMax) return open();
        await room.wait(signal);
      }
    },
    giveBack(connection: HttpConnection): void {
      if (isGood(connection)) free.push(connection);
      else connection.close();
      room.open();
    },
    close(): void {
      isClosed = true;
      for (const connection of all) connection.close();
    },
  };
}
