// Owns the bytes of the XRootD protocol (5.x, read only): requests to frames, and the bodies of answers to values. No I/O.
import { ColweaveError } from '../core/errors.ts';

/** Stream id, status or request id, then 16 bytes of parameters in a request, then the length of what follows. */
export const RESPONSE_HEADER_BYTES = 8;
const REQUEST_HEADER_BYTES = 24;
/** Before the data of each piece of a vector read: handle, length, offset. */
export const PIECE_HEADER_BYTES = 16;
/** Longest answer that is kept in memory as a whole; file data are not. A damaged length must not become memory. */
export const BODY_BYTES_MAX = 1 << 20;

export const REQUEST = {
  auth: 3000,
  query: 3001,
  close: 3003,
  protocol: 3006,
  login: 3007,
  open: 3010,
  read: 3013,
  stat: 3017,
  readv: 3025,
} as const;

export const STATUS = {
  ok: 0,
  okSoFar: 4000,
  attention: 4001,
  authMore: 4002,
  error: 4003,
  redirect: 4004,
  wait: 4005,
  waitResponse: 4006,
} as const;

/** In the flags of the answer to kXR_protocol. */
export const FLAG = { gotoTls: 0x40000000, haveTls: 0x80000000 } as const;
/** The one kind of kXR_attn that matters to a reader: an answer that came later. */
export const ASYNC_RESPONSE = 5008;
const QUERY_CONFIG = 7;
const QUERY_CHECKSUM = 3;
const OPEN_READ = 0x10;
const OPEN_RETURN_STAT = 0x400;
/** What we speak: 5.2.0, the first with everything asked for here. */
const PROTOCOL_VERSION = 0x520;
const ABLE_TLS = 0x02;
const WANT_TLS = 0x04;
const EXPECT_LOGIN = 0x03;
/** Full URLs in redirects, several protocols, IPv6. */
const ABILITIES = 0x01 | 0x02 | 0x08;
/** Version 5 of the client, which takes answers that come later (kXR_waitresp). */
const CLIENT_VERSION = 0x80 | 5;

/** A request without its stream id, which the link writes in front. */
export interface Frame {
  readonly bytes: Buffer;
  /** For messages. */
  readonly name: string;
}

function frame(name: keyof typeof REQUEST, parameters: (head: Buffer) => void, data: Uint8Array = EMPTY): Frame {
  const bytes = Buffer.alloc(REQUEST_HEADER_BYTES + data.length);
  bytes.writeUInt16BE(REQUEST[name], 2);
  parameters(bytes);
  bytes.writeInt32BE(data.length, 20);
  bytes.set(data, REQUEST_HEADER_BYTES);
  return { bytes, name };
}

const EMPTY = new Uint8Array(0);

/** Of the kXR_protocol that goes with the hello, whose own answer comes with 0. */
export const HELLO_PROTOCOL_ID = 1;

/** Hello and kXR_protocol in one write: the server answers both. */
export function helloFrame({ wantTls }: { readonly wantTls: boolean }): Buffer {
  const hello = Buffer.alloc(20);
  hello.writeInt32BE(4, 12);
  hello.writeInt32BE(2012, 16);
  const { bytes } = frame('protocol', (head) => {
    head.writeUInt16BE(HELLO_PROTOCOL_ID, 0);
    head.writeInt32BE(PROTOCOL_VERSION, 4);
    head[8] = ABLE_TLS | (wantTls ? WANT_TLS : 0);
    head[9] = EXPECT_LOGIN;
  });
  return Buffer.concat([hello, bytes]);
}

export function loginFrame({ user, pid, token }: { user: string; pid: number; token: string }): Frame {
  return frame(
    'login',
    (head) => {
      head.writeInt32BE(pid & 0x7fffffff, 4);
      head.write(user.slice(0, 8), 8, 'latin1');
      head[17] = ABILITIES;
      head[18] = CLIENT_VERSION;
    },
    Buffer.from(token),
  );
}

/** `protocol` is what the server called it, such as ztn. */
export function authFrame(protocol: string, credential: Uint8Array): Frame {
  return frame('auth', (head) => head.write(protocol.slice(0, 4), 16, 'latin1'), credential);
}

/** What the token protocol carries: its name, version 0, `T` for token, the length with the final zero, the token. */
export function tokenCredential(token: string): Buffer {
  const text = Buffer.from(token);
  const bytes = Buffer.alloc(12 + text.length);
  bytes.write('ztn\0\0T', 0, 'latin1');
  bytes.writeUInt16BE(text.length + 1, 8);
  bytes.set(text, 10);
  return bytes;
}

export function openFrame(path: string): Frame {
  return frame('open', (head) => head.writeUInt16BE(OPEN_READ | OPEN_RETURN_STAT, 6), Buffer.from(path));
}

export function closeFrame(handle: Uint8Array): Frame {
  return frame('close', (head) => head.set(handle, 4));
}

export function statFrame(handle: Uint8Array): Frame {
  return frame('stat', (head) => head.set(handle, 16));
}

export function readFrame(handle: Uint8Array, { offset, length }: { offset: number; length: number }): Frame {
  return frame('read', (head) => {
    head.set(handle, 4);
    head.writeBigInt64BE(BigInt(offset), 8);
    head.writeInt32BE(length, 16);
  });
}

export function readvFrame(
  handle: Uint8Array,
  pieces: readonly { readonly offset: number; readonly into: Uint8Array }[],
): Frame {
  const list = Buffer.alloc(pieces.length * PIECE_HEADER_BYTES);
  for (const [i, { offset, into }] of pieces.entries()) {
    const at = i * PIECE_HEADER_BYTES;
    list.set(handle, at);
    list.writeInt32BE(into.length, at + 4);
    list.writeBigInt64BE(BigInt(offset), at + 8);
  }
  return frame('readv', () => {}, list);
}

export function configFrame(names: readonly string[]): Frame {
  return frame('query', (head) => head.writeUInt16BE(QUERY_CONFIG, 4), Buffer.from(names.join(' ')));
}

export function checksumFrame(path: string): Frame {
  return frame('query', (head) => head.writeUInt16BE(QUERY_CHECKSUM, 4), Buffer.from(path));
}

export interface FileStatus {
  /** Device and inode: tells a file from the one that replaced it, on one server. */
  readonly id: string;
  readonly size: number;
  readonly flags: number;
  readonly modified: number;
}

/** `id size flags mtime`, decimal; more may follow. Errors: remote/protocol. */
export function decodeStatus(body: Buffer, where: readonly string[]): FileStatus {
  const [id = '', ...words] = textOf(body).split(' ');
  const [size = NaN, flags = NaN, modified = NaN] = words.slice(0, 3).map(Number);
  if (![size, flags, modified].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw notProtocol('the status of the file cannot be decoded', where);
  }
  return { id, size, flags, modified };
}

export interface OpenedFile {
  readonly handle: Uint8Array;
  readonly status: FileStatus | undefined;
}

/** Handle, page size and kind of compression, status. Errors: remote/protocol, source/not-readable. */
export function decodeOpened(body: Buffer, where: readonly string[]): OpenedFile {
  if (body.length < 4) throw notProtocol('the answer to open is too short', where);
  if (body.length >= 8 && body.readInt32BE(4) !== 0) {
    throw new ColweaveError('source/not-readable', 'the server keeps the file compressed, and gives it so', { where });
  }
  const handle = Uint8Array.from(body.subarray(0, 4));
  return { handle, status: body.length > 12 ? decodeStatus(body.subarray(12), where) : undefined };
}

export interface Redirect {
  readonly host: string;
  readonly port: number;
  /** To be added to the path, after `?`. */
  readonly opaque: string;
  /** To be given at the login there. */
  readonly token: string;
}

/** Port and `host?opaque?token`; a negative port means that a URL stands in the host's place. Errors: remote/protocol. */
export function decodeRedirect(body: Buffer, where: readonly string[]): Redirect {
  if (body.length < 5) throw notProtocol('a redirect is too short', where);
  const port = body.readInt32BE(0);
  const [place = '', opaque = '', token = ''] = textOf(body.subarray(4)).split('?');
  if (port < 0) {
    const url = parseUrl(place);
    if (url === undefined) throw notProtocol('a redirect leads to something else than root://', where);
    return { host: url.host, port: url.port, opaque, token };
  }
  // some put the port behind the name as well, and an IPv6 address into brackets
  const host = place.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^([^:]+):\d+$/, '$1');
  if (host === '' || port > 65535) throw notProtocol('a redirect names no server', where);
  return { host, port: port === 0 ? DEFAULT_PORT : port, opaque, token };
}

/** `&P=gsi,v:10600,...&P=ztn,0:4096:` -> gsi, ztn: what the server takes, in its order. */
export function decodeProtocols(body: Buffer): readonly string[] {
  return [...textOf(body).matchAll(/&P=([^,&\s]+)/g)].map(([, name]) => name!);
}

export interface ServerError {
  readonly number: number;
  readonly text: string;
}

export function decodeError(body: Buffer): ServerError {
  return body.length < 4 ? { number: 0, text: '' } : { number: body.readInt32BE(0), text: textOf(body.subarray(4)) };
}

/** Up to the first zero byte; one line, nothing that moves a terminal's cursor. */
export function textOf(body: Buffer): string {
  const end = body.indexOf(0);
  const text = body.toString('utf8', 0, end < 0 ? body.length : end);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\x00-\x1f\x7f]+/g, ' ').trim();
}

export const DEFAULT_PORT = 1094;

export interface RootUrl {
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number;
  /** Begins with a slash, ends before `?`. */
  readonly path: string;
  /** What stood behind `?`, without what only the official client reads. */
  readonly opaque: string;
}

const URL =
  /^x?root(s?):\/\/(?:([^@/?:]*)(?::[^@/?]*)?@)?(\[[0-9a-f:.]+\]|[^/?:@]+)(?::(\d{1,5}))?(\/[^?]*)?(?:\?(.*))?$/is;

/** undefined: it is no URL of this kind. One slash before the path is taken for two, which is what is always meant. */
export function parseUrl(uri: string): RootUrl | undefined {
  const [, tls, user, host, port = `${DEFAULT_PORT}`, path = '/', query = ''] = URL.exec(uri) ?? [];
  if (host === undefined || Number(port) > 65535) return undefined;
  return {
    tls: tls !== '',
    user,
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port),
    path: path.replace(/^\/+/, '/'),
    opaque: query
      .split('&')
      .filter((pair) => pair !== '' && !/^xrdcl\./.test(pair))
      .join('&'),
  };
}

/** As counted.ts names it, and as messages do. */
export function serverName(host: string, port: number): string {
  return `root://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function notProtocol(what: string, where: readonly string[]): ColweaveError {
  return new ColweaveError('remote/protocol', what, { where });
}
