// Owns one kept connection of HTTP/1.1: a question written at once, its answer read to the last byte, then the next.
import { connect, isIP, type Socket } from 'node:net';
import { getCACertificates, connect as secureConnect } from 'node:tls';
import { AnswerReader, type HttpAnswer } from './http-answer.ts';
import { lostError, ServerError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** The server closed a kept connection just when it was used again: that says nothing about the server. */
export class StaleConnection extends ServerError {}

/** Opens connections to one server. */
export function dialer(base: URL, { ca }: Pick<ConnectOptions, 'ca'>): () => Socket {
  // URL keeps the brackets of an IPv6 address
  const host = base.hostname.replace(/^\[|\]$/g, '');
  const port = Number(base.port);
  // a question goes out whole, and must not wait for another
  if (base.protocol !== 'https:') return () => connect({ host, port: port || 80, noDelay: true });
  const trust = ca === undefined ? {} : { ca: [...getCACertificates('default'), ...ca] };
  const name = isIP(host) === 0 ? { servername: host } : {};
  return () => {
    const socket = secureConnect({ host, port: port || 443, ALPNProtocols: ['http/1.1'], ...name, ...trust });
    return socket.setNoDelay(true);
  };
}

interface Turn {
  readonly reader: AnswerReader;
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (cause: unknown) => void;
}

export class HttpConnection {
  readonly since = Date.now();
  readonly #socket: Socket;
  readonly #url: string;
  #turn: Turn | undefined;
  #answers = 0;
  #isOpen = true;

  /** `closed` is called once, whoever closed it. */
  constructor(socket: Socket, url: string, closed: (connection: HttpConnection) => void) {
    this.#socket = socket;
    this.#url = url;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('end', () => this.#ended());
    socket.on('error', (cause) => this.#fail(cause));
    socket.on('close', () => {
      this.#fail(new Error(`the connection was closed${this.#turn?.reader.began ? ' within an answer' : ''}`));
      closed(this);
    });
  }

  /** It can take a question, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** One question at a time. Errors: a ServerError, a StaleConnection among them; the signal's reason. */
  ask(head: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<HttpAnswer> {
    const reused = this.#answers > 0;
    const reader = new AnswerReader(this.#url);
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#fail(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#turn = {
        reader,
        resolve: (answer) => {
          signal.removeEventListener('abort', abort);
          resolve(answer);
        },
        reject: (cause) => {
          signal.removeEventListener('abort', abort);
          if (cause === signal.reason || cause instanceof ServerError) reject(cause);
          else reject(reused && !reader.began ? staleConnection(this.#url, cause) : lostError(this.#url, cause));
        },
      };
      const socket = this.#socket;
      socket.cork();
      socket.write(head, 'latin1');
      for (const part of parts) socket.write(part);
      socket.uncork();
    });
  }

  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const turn = this.#turn;
    // nothing was asked: what comes next could be taken for the answer to another question
    if (turn === undefined) {
      this.close();
      return;
    }
    try {
      turn.reader.add(bytes);
    } catch (failure) {
      this.#fail(failure);
      return;
    }
    if (turn.reader.isWhole) this.#finish(turn);
  }

  #ended(): void {
    this.#isOpen = false;
    this.#turn?.reader.close();
    if (this.#turn?.reader.isWhole) this.#finish(this.#turn);
  }

  #finish(turn: Turn): void {
    this.#turn = undefined;
    this.#answers += 1;
    // an answer to half a question is one, such as to a body that is too large; the other half is not sent then
    if (!turn.reader.isKept || this.#socket.writableLength > 0) this.close();
    turn.resolve(turn.reader.answer);
  }

  #fail(cause: unknown): void {
    const turn = this.#turn;
    this.#turn = undefined;
    this.close();
    turn?.reject(cause);
  }
}

function staleConnection(url: string, cause: unknown): StaleConnection {
  const detail = { where: [url], retry: 'elsewhere', cause } as const;
  return new StaleConnection('infer/unreachable', 'the connection was closed', detail);
}
