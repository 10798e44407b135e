// Owns the reading of one answer of HTTP/1.1 (RFC 9112) from bytes in any pieces: its head, and a body of a told length, in chunks, or to the end.
import { badAnswer, type ServerError } from './server-error.ts';

export type HttpHeaders = Readonly<Record<string, string | undefined>>;

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; of a name that comes again, all values with commas between. */
  readonly headers: HttpHeaders;
  /** No Buffer: its slice() is a view, where that of every other array is a copy. */
  readonly body: Uint8Array;
}

/** Servers refuse longer heads themselves. */
const HEAD_BYTES_MAX = 64 * 1024;
/** A body of error is read up to here, and shown up to less. */
const ERROR_BYTES_MAX = 64 * 1024;
/** What one array of Node can hold for certain. */
const ANSWER_BYTES_MAX = 2 ** 31 - 1;
/** The line before a chunk: a length, and extensions that nobody sends. */
const CHUNK_LINE_BYTES_MAX = 1024;
/** An array of float64 may be laid over the tensors of an answer. */
const ALIGNMENT = 8;
const NOTHING = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** How the end of a body is known: after so many bytes, by a chunk of none, or by that of the connection. */
type Framing = number | 'chunked' | 'end';

interface Head {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly framing: Framing;
  /** The connection may carry another answer. */
  readonly keeps: boolean;
}

let lastHead: { readonly text: string; readonly head: Head } | undefined;

/** One answer, as far as it came. Every method that takes bytes throws a ServerError where they are no answer. */
export class AnswerReader {
  readonly #url: string;
  /** Bytes that are not understood yet: of a head, or of the line before a chunk. */
  #rest: Buffer = NOTHING;
  #head: Head | undefined;
  #body: Body | undefined;
  /** Of the body, or of the chunk that is read; undefined = a line of a chunk comes. */
  #left: number | undefined;
  #trailers = false;
  #isWhole = false;
  #isClean = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** Anything came. */
  get began(): boolean {
    return this.#head !== undefined || this.#rest.length > 0;
  }

  /** The answer is there; of an error that is too long, its beginning. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** The connection stands just behind it, and is kept. */
  get isKept(): boolean {
    return this.#isClean && this.#head!.keeps;
  }

  /** Once it is whole. */
  get answer(): HttpAnswer {
    const { status, headers } = this.#head!;
    return { status, headers, body: this.#body!.bytes };
  }

  add(bytes: Buffer): void {
    if (this.#head !== undefined) {
      this.#addBody(bytes);
      return;
    }
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = all;
    const end = all.indexOf(HEAD_END);
    if (end > HEAD_BYTES_MAX || (end < 0 && all.length > HEAD_BYTES_MAX)) throw this.#bad('its head has no end');
    if (end < 0) return;
    const head = this.#headOf(all.toString('latin1', 0, end));
    this.#rest = NOTHING;
    const after = all.subarray(end + HEAD_END.length);
    // what is said meanwhile, such as 100 Continue, is no answer
    if (head.status < 200) {
      if (head.status === 101) throw this.#bad('it changes to another protocol');
      if (after.length > 0) this.add(after);
      return;
    }
    this.#head = head;
    const { framing, headers } = head;
    this.#body = new Body(typeof framing === 'number' ? framing : undefined, headers);
    this.#left = framing === 'chunked' ? undefined : framing === 'end' ? Number.POSITIVE_INFINITY : framing;
    this.#addBody(after);
  }

  /** The server sends no more: that is the end of a body without another. */
  close(): void {
    if (this.#head?.framing === 'end') this.#isWhole = true;
  }

  #addBody(bytes: Buffer): void {
    if (this.#head!.framing === 'chunked') this.#addChunks(bytes);
    else {
      const used = Math.min(bytes.length, this.#left!);
      this.#take(used === bytes.length ? bytes : bytes.subarray(0, used));
      if (this.#left === 0) this.#finish(used === bytes.length);
    }
    const { status } = this.#head!;
    if (this.#isWhole || (status >= 200 && status < 300)) return;
    if (this.#body!.length > ERROR_BYTES_MAX) this.#isWhole = true;
  }

  #take(bytes: Buffer): void {
    if (this.#body!.length + bytes.length > ANSWER_BYTES_MAX)
      throw badAnswer(this.#url, `an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    this.#body!.add(bytes);
    this.#left! -= bytes.length;
  }

  /** `isClean`: nothing came behind it, which would belong to no question. */
  #finish(isClean: boolean): void {
    this.#isWhole = true;
    this.#isClean = isClean;
  }

  #addChunks(bytes: Buffer): void {
    let rest: Buffer = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = NOTHING;
    while (rest.length > 0 && !this.#isWhole) {
      if (this.#left !== undefined && this.#left > 0) {
        const used = Math.min(rest.length, this.#left);
        this.#take(rest.subarray(0, used));
        rest = rest.subarray(used);
        continue;
      }
      const end = rest.indexOf(LINE_END);
      if (end < 0 && rest.length > CHUNK_LINE_BYTES_MAX) throw this.#bad('a line before a chunk has no end');
      if (end < 0) {
        this.#rest = rest;
        return;
      }
      this.#line(rest.toString('latin1', 0, end));
      rest = rest.subarray(end + LINE_END.length);
    }
    if (this.#isWhole) this.#isClean = rest.length === 0;
  }

  /** After the bytes of a chunk comes an empty line; after the last chunk, trailers and an empty line. */
  #line(line: string): void {
    if (this.#trailers) {
      if (line === '') this.#isWhole = true;
      return;
    }
    if (this.#left === 0) {
      if (line !== '') throw this.#bad('a chunk is longer than it says');
      this.#left = undefined;
      return;
    }
    const [size = ''] = line.split(';', 1);
    if (!/^[0-9a-f]{1,8}[ \t]*$/i.test(size)) throw this.#bad('a chunk has no length');
    const length = Number.parseInt(size, 16);
    if (length === 0) this.#trailers = true;
    else this.#left = length;
  }

  /** Heads of answers of the same size are the same: the last one that was read says what it says. */
  #headOf(text: string): Head {
    if (lastHead?.text !== text) lastHead = { text, head: this.#readHead(text) };
    return lastHead.head;
  }

  #readHead(text: string): Head {
    const [first = '', ...lines] = text.split('\r\n');
    const [, minor, code] = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/.exec(first) ?? [];
    if (code === undefined) throw this.#bad('it does not begin as one');
    const headers: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const line of lines) {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw this.#bad('a line of its head is malformed');
      const key = name.toLowerCase();
      headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
    }
    const status = Number(code);
    const { connection = '' } = headers;
    const keeps = minor === '1' ? !/\bclose\b/i.test(connection) : /\bkeep-alive\b/i.test(connection);
    return { status, headers, framing: this.#framingOf(status, headers), keeps };
  }

  /** What could be read in two ways is not read at all: bytes of one answer must not be taken for those of another. */
  #framingOf(status: number, headers: HttpHeaders): Framing {
    const { 'transfer-encoding': coding, 'content-length': told } = headers;
    if (status < 200 || status === 204 || status === 304) return 0;
    if (coding !== undefined) {
      if (told !== undefined || coding.toLowerCase() !== 'chunked') throw this.#bad('its length is told in two ways');
      return 'chunked';
    }
    if (told === undefined) return 'end';
    if (!/^\d{1,15}$/.test(told)) throw this.#bad('it has no length, or two');
    return Number(told);
  }

  #bad(what: string): ServerError {
    return badAnswer(this.#url, `what came is no answer of HTTP/1.1: ${what}`, 'is this the HTTP port of the server?');
  }
}

/** What came so far, in one array whose binary part is aligned when the server says where it begins. */
class Body {
  readonly #told: number | undefined;
  readonly #lead: number;
  #room: Buffer;
  #end: number;

  constructor(told: number | undefined, headers: HttpHeaders) {
    this.#told = told;
    const json = Number(headers['inference-header-content-length'] ?? 0);
    this.#lead = Number.isSafeInteger(json) && json > 0 ? (ALIGNMENT - (json % ALIGNMENT)) % ALIGNMENT : 0;
    // a length that is told is not believed before bytes come: an array of 1 MiB is enough to begin with
    this.#room = Buffer.allocUnsafeSlow(this.#lead + Math.min(told ?? 1024, 1 << 20));
    this.#end = this.#lead;
  }

  /** No more than was told. */
  add(chunk: Buffer): void {
    const end = this.#end + chunk.length;
    if (end > this.#room.length) {
      const size = this.#told === undefined ? 2 * this.#room.length : this.#lead + this.#told;
      const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(end, size), ANSWER_BYTES_MAX));
      this.#room.copy(larger, 0, 0, this.#end);
      this.#room = larger;
    }
    chunk.copy(this.#room, this.#end);
    this.#end = end;
  }

  get length(): number {
    return this.#end - this.#lead;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#room.buffer, this.#room.byteOffset + this.#lead, this.length);
  }
}
