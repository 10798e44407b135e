// Owns one connection to an XRootD server: frames out, answers in by stream id, TLS in mid-stream, and the watch over silence.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ColweaveError } from '../core/errors.ts';
import { trafficOf } from './counted.ts';
import { authorities } from './credentials.ts';
import { connectionError } from './xrootd-errors.ts';
import { type BodySink, bodySink, nowhere, type Sink } from './xrootd-sinks.ts';
import { LINK_LIMITS, type LinkLimits, type Watch, watchSilence } from './xrootd-watch.ts';
import {
  ASYNC_RESPONSE,
  type Frame,
  HELLO_PROTOCOL_ID,
  notProtocol,
  RESPONSE_HEADER_BYTES,
  STATUS,
  serverName,
} from './xrootd-wire.ts';

/** What came back for a request; file data lie in its sink. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Data of at least this size are read to where they belong; less goes through a buffer, many answers at a time. */
const DIRECT_BYTES_MIN = 64 * 1024;
const SCRATCH_BYTES = 64 * 1024;
/** A link that brings nothing for so long is not worth keeping for others once a reader has been aborted. */
const REVOKE_MS_MAX = 1000;
/** Longest time that a server may ask us to wait for an answer that comes later. */
const LATER_SECONDS_MAX = 3600;

interface Pending {
  readonly name: string;
  sink: Sink;
  readonly body: BodySink;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: ColweaveError) => void;
}

interface Incoming {
  readonly id: number;
  readonly status: number;
  sink: Sink;
  left: number;
}

export interface LinkTarget {
  readonly host: string;
  readonly port: number;
  /** Shown in messages. */
  readonly where: readonly string[];
  readonly limits?: LinkLimits;
}

export class XrootdLink {
  /** As counted.ts names it. */
  readonly server: string;
  readonly #target: LinkTarget;
  readonly #limits: LinkLimits;
  readonly #pending = new Map<number, Pending>();
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly #header = Buffer.alloc(RESPONSE_HEADER_BYTES);
  #headerUsed = 0;
  #incoming: Incoming | undefined;
  /** The part of a sink that the socket was told to read into. */
  #direct: Uint8Array | undefined;
  /** Told when nothing is written to the arrays of aborted requests any more. */
  readonly #revoked: (() => void)[] = [];
  #socket!: Socket;
  #nextId = 1;
  readonly #watch: Watch;
  #failure: ColweaveError | undefined;
  #secure = false;

  private constructor(target: LinkTarget) {
    this.#target = target;
    this.#limits = target.limits ?? LINK_LIMITS;
    this.server = serverName(target.host, target.port);
    this.#watch = watchSilence(this.#limits.silenceMsMax, () => this.#silence());
  }

  /** Errors: remote/unreachable, remote/timeout. */
  static async open(target: LinkTarget, signal?: AbortSignal): Promise<XrootdLink> {
    signal?.throwIfAborted();
    const link = new XrootdLink(target);
    const onread = {
      buffer: () => link.#place(),
      callback: (count: number) => {
        link.#arrived(count);
        return true;
      },
    };
    const socket = connect({ host: target.host, port: target.port, noDelay: true, onread });
    link.#adopt(socket);
    await link.#until(socket, 'connect', signal);
    return link;
  }

  get secure(): boolean {
    return this.#secure;
  }

  get failure(): ColweaveError | undefined {
    return this.#failure;
  }

  /** From here on all is encrypted; the server's certificate must be of an authority known here. Errors: credentials/no-ca, remote/unreachable, remote/timeout. */
  async startTls(signal?: AbortSignal): Promise<void> {
    const { host } = this.#target;
    const raw = this.#socket;
    raw
      .removeAllListeners('close')
      .removeAllListeners('error')
      .on('error', () => {});
    // a name may be told the server, an address may not
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    const socket = connectTls({ socket: raw, host, ca: authorities(), ...name });
    this.#adopt(socket);
    socket.on('data', (bytes: Buffer) => this.#feed(bytes));
    await this.#until(socket, 'secureConnect', signal);
    this.#secure = true;
  }

  /** Hello and kXR_protocol; the answer is that of the second. */
  async hello(bytes: Buffer): Promise<Answer> {
    const first = this.#expect(0, 'hello', undefined, undefined);
    const second = this.#expect(HELLO_PROTOCOL_ID, 'protocol', undefined, undefined);
    this.#send(bytes);
    const [{ status, body }, answer] = await Promise.all([first, second]);
    if (status === STATUS.ok && body.length === 8) return answer;
    throw this.#fail(notProtocol('it does not answer as an XRootD server', this.#target.where));
  }

  /**
   * Sends a frame; file data of its answer go into `sink`. After an abort nothing is written there any more.
   * Errors: remote/unreachable, remote/timeout, remote/protocol, each of which ends the link.
   */
  request({ bytes, name }: Frame, signal?: AbortSignal, sink?: Sink): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = this.#newId();
    const answer = this.#expect(id, name, sink, signal);
    bytes.writeUInt16BE(id, 0);
    this.#send(bytes);
    return answer;
  }

  destroy(): void {
    this.#fail(new ColweaveError('remote/unreachable', 'the connection was closed', { where: this.#target.where }));
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (cause) => this.#fail(connectionError(cause, this.#target.where)));
    socket.on('close', () =>
      this.#fail(new ColweaveError('remote/unreachable', 'the server hung up', { where: this.#target.where })),
    );
  }

  #until(socket: Socket, event: string, signal: AbortSignal | undefined): Promise<void> {
    const { where } = this.#target;
    return new Promise((resolve, reject) => {
      const late = () => {
        const seconds = this.#limits.connectMsMax / 1000;
        this.#fail(new ColweaveError('remote/timeout', `no connection within ${seconds} s`, { where }));
      };
      const timer = setTimeout(late, this.#limits.connectMsMax);
      const aborted = () => {
        this.destroy();
      };
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        if (signal?.aborted) reject(signal.reason);
        else if (this.#failure) reject(this.#failure);
        else resolve();
      };
      signal?.addEventListener('abort', aborted, { once: true });
      socket.once(event, done);
      // after #fail, which destroys it
      socket.once('close', done);
    });
  }

  #newId(): number {
    do this.#nextId = (this.#nextId % 0xffff) + 1;
    while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  #expect(id: number, name: string, sink: Sink | undefined, signal: AbortSignal | undefined): Promise<Answer> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const aborted = () => this.#discard(id, () => reject(signal!.reason));
      const settled = () => signal?.removeEventListener('abort', aborted);
      const body = bodySink(this.#target.where);
      this.#pending.set(id, {
        name,
        sink: sink ?? body,
        body,
        resolve: (answer) => {
          settled();
          resolve(answer);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      signal?.addEventListener('abort', aborted, { once: true });
      this.#watchOver();
    });
  }

  /** The arrays of an aborted request belong to somebody else after `done`: its answer must not be written there. */
  #discard(id: number, done: () => void): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) pending.sink = nowhere();
    if (this.#incoming?.id === id) this.#incoming.sink = nowhere();
    if (this.#incoming?.id !== id || this.#direct === undefined) {
      done();
      return;
    }
    // what the socket was told to fill cannot be called back: wait for the next bytes, or end the link
    const late = setTimeout(() => this.destroy(), REVOKE_MS_MAX);
    this.#revoked.push(() => {
      clearTimeout(late);
      done();
    });
  }

  #revoke(): void {
    for (const done of this.#revoked.splice(0)) done();
  }

  #send(bytes: Buffer): void {
    trafficOf(this.server).requests++;
    this.#socket.write(bytes);
  }

  /** While answers are due, silence is watched and the process is kept alive; after that neither. */
  #watchOver(): void {
    this.#watch.begin();
    this.#socket.ref();
  }

  #relax(): void {
    if (this.#pending.size > 0) return;
    this.#watch.end();
    this.#socket.unref();
  }

  #silence(): void {
    const seconds = this.#limits.silenceMsMax / 1000;
    const names = [...new Set([...this.#pending.values()].map(({ name }) => name))].join(', ');
    const what = `next to nothing came for ${seconds} s while an answer was due (${names})`;
    this.#fail(new ColweaveError('remote/timeout', what, { where: this.#target.where }));
  }

  /** Where the socket may put what comes next. */
  #place(): Uint8Array {
    const { left, sink } = this.#incoming ?? { left: 0 };
    this.#direct = undefined;
    if (sink !== undefined && left >= DIRECT_BYTES_MIN && !this.#failure) {
      const room = sink.room();
      if (room.length >= DIRECT_BYTES_MIN) this.#direct = room.subarray(0, Math.min(left, room.length));
    }
    return this.#direct ?? this.#scratch;
  }

  #arrived(count: number): void {
    if (this.#direct === undefined) this.#feed(this.#scratch.subarray(0, count));
    else this.#guarded(count, () => this.#took(count));
    this.#revoke();
  }

  #feed(bytes: Buffer): void {
    this.#guarded(bytes.length, () => {
      for (let at = 0; at < bytes.length && !this.#failure; ) at += this.#step(bytes, at);
    });
  }

  #guarded(count: number, work: () => void): void {
    this.#watch.took(count);
    if (this.#failure) return;
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof ColweaveError)) throw cause;
      this.#fail(cause);
    }
  }

  /** Uses some of the bytes from `at` on, says how many. */
  #step(bytes: Buffer, at: number): number {
    const incoming = this.#incoming;
    if (incoming === undefined) {
      const count = Math.min(RESPONSE_HEADER_BYTES - this.#headerUsed, bytes.length - at);
      bytes.copy(this.#header, this.#headerUsed, at, at + count);
      this.#headerUsed += count;
      trafficOf(this.server).bytesTravelled += count;
      if (this.#headerUsed === RESPONSE_HEADER_BYTES) this.#begin();
      return count;
    }
    const room = incoming.sink.room();
    const count = Math.min(incoming.left, bytes.length - at, room.length);
    if (count === 0) throw notProtocol('an answer is longer than what was asked for', this.#target.where);
    room.set(bytes.subarray(at, at + count));
    this.#took(count);
    return count;
  }

  #took(count: number): void {
    const incoming = this.#incoming!;
    trafficOf(this.server).bytesTravelled += count;
    incoming.left -= count;
    incoming.sink.filled(count);
    if (incoming.left === 0) this.#end();
  }

  #begin(): void {
    this.#watch.touch();
    this.#headerUsed = 0;
    const id = this.#header.readUInt16BE(0);
    const status = this.#header.readUInt16BE(2);
    const length = this.#header.readInt32BE(4);
    const { where } = this.#target;
    if (length < 0) throw notProtocol('an answer has a negative length', where);
    const attention = status === STATUS.attention;
    const pending = this.#pending.get(id);
    if (pending === undefined && !attention) throw notProtocol('an answer came that nobody asked for', where);
    const data = status === STATUS.ok || status === STATUS.okSoFar;
    const sink = pending === undefined || attention ? bodySink(where) : data ? pending.sink : pending.body;
    this.#incoming = { id, status, sink, left: length };
    if (length === 0) this.#end();
  }

  #end(): void {
    const { id, status, sink } = this.#incoming!;
    this.#incoming = undefined;
    if (status === STATUS.attention) this.#later((sink as BodySink).body());
    else this.#settle(id, status);
  }

  #settle(id: number, status: number): void {
    if (status === STATUS.okSoFar) return;
    const pending = this.#pending.get(id)!;
    if (status === STATUS.waitResponse) {
      const body = pending.body.body();
      const seconds = body.length < 4 ? 0 : Math.min(body.readUInt32BE(0), LATER_SECONDS_MAX);
      this.#watch.touch(seconds * 1000);
      return;
    }
    this.#answered(id, status, pending.sink, pending.body);
  }

  /** kXR_attn: an answer in an answer; other kinds are news for people. */
  #later(body: Buffer): void {
    if (body.length < 16 || body.readInt32BE(0) !== ASYNC_RESPONSE) return;
    const id = body.readUInt16BE(8);
    const status = body.readUInt16BE(10);
    const pending = this.#pending.get(id);
    if (pending === undefined || body.readInt32BE(12) !== body.length - 16) {
      throw notProtocol('a late answer cannot be decoded', this.#target.where);
    }
    // in the body of this one stands the word on how long to wait
    const own = bodySink(this.#target.where);
    const target = status === STATUS.ok && pending.sink !== pending.body ? pending.sink : own;
    for (let at = 16; at < body.length; ) {
      const room = target.room();
      const count = Math.min(room.length, body.length - at);
      if (count === 0) throw notProtocol('a late answer is longer than what was asked for', this.#target.where);
      room.set(body.subarray(at, at + count));
      target.filled(count);
      at += count;
    }
    this.#answered(id, status, target, own);
  }

  #answered(id: number, status: number, sink: Sink, body: BodySink): void {
    const { name, resolve } = this.#pending.get(id)!;
    const missing = sink.missing() ?? 0;
    if (status === STATUS.ok && missing > 0) {
      throw notProtocol(`an answer (${name}) is ${missing} bytes short`, this.#target.where);
    }
    this.#pending.delete(id);
    resolve({ status, body: body.body() });
    this.#relax();
  }

  #fail(error: ColweaveError): ColweaveError {
    if (this.#failure) return this.#failure;
    this.#failure = error;
    this.#watch.end();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#socket.destroy();
    this.#revoke();
    for (const { reject } of pending) reject(error);
    return error;
  }
}
