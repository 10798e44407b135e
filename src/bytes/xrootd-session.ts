// Owns a logged-in connection to one XRootD server: hello, TLS, login, authentication; shared by all files that are read there.
import { userInfo } from 'node:os';
import { ColweaveError } from '../core/errors.ts';
import { type Found, findProxy, findToken, type Token, type Unusable, unusableError } from './credentials.ts';
import { serverError } from './xrootd-errors.ts';
import { type LinkTarget, XrootdLink } from './xrootd-link.ts';
import {
  authFrame,
  configFrame,
  decodeError,
  decodeProtocols,
  FLAG,
  helloFrame,
  loginFrame,
  notProtocol,
  STATUS,
  serverName,
  textOf,
  tokenCredential,
} from './xrootd-wire.ts';

/** How many pieces, and how long each, a vector read may have. */
export interface VectorLimits {
  readonly piecesMax: number;
  readonly pieceBytesMax: number;
}

export interface XrootdSession {
  readonly link: XrootdLink;
  /** Asked for at the login; the answer comes while the file is opened. */
  readonly vector: Promise<VectorLimits>;
  /** What it let us in by; `none` where it asks for nothing. */
  readonly by: string;
  /** What else it would take. */
  readonly takes: readonly string[];
}

/** The server takes X.509 proxies alone, and a good one is there: the official client must fetch the file. */
export class ProxyAlone extends Error {
  override readonly name = 'ProxyAlone';
}

export interface SessionTarget extends LinkTarget {
  /** Encrypt, or do not talk: roots:// */
  readonly tls: boolean;
  readonly user?: string | undefined;
  /** From the redirect that led here. */
  readonly token?: string;
}

/** What servers that do not say take: the defaults of XRootD. */
const VECTOR_DEFAULT: VectorLimits = { piecesMax: 1024, pieceBytesMax: 2_097_136 };
/** A session that no file uses stays open for so long: the next file is likely on the same server. */
const IDLE_MS = 20_000;

interface Shared {
  readonly session: Promise<XrootdSession>;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

const shared = new Map<string, Shared>();

/** A session and the word that it is not needed any more. */
export interface Lease {
  readonly session: XrootdSession;
  release(): void;
}

/**
 * The session of this thread with that server, made when there is none or the last one broke. The signal does not end a
 * connection that others wait for. Errors: remote/*, credentials/*; ProxyAlone.
 */
export async function leaseSession(target: SessionTarget, signal?: AbortSignal): Promise<Lease> {
  signal?.throwIfAborted();
  const key = [serverName(target.host, target.port), target.user ?? '', target.tls, target.token ?? ''].join(' ');
  let entry = shared.get(key);
  if (entry === undefined) {
    entry = { session: openSession(target), users: 0, idle: undefined };
    shared.set(key, entry);
  }
  const { session: opening } = entry;
  const drop = () => {
    if (shared.get(key)?.session === opening) shared.delete(key);
  };
  const mine = entry;
  mine.users++;
  clearTimeout(mine.idle);
  const release = once(() => {
    mine.users--;
    if (mine.users > 0) return;
    const end = () => {
      drop();
      opening.then(
        ({ link }) => link.destroy(),
        () => {},
      );
    };
    mine.idle = setTimeout(end, IDLE_MS).unref();
  });
  try {
    const session = await unlessAborted(opening, signal);
    if (session.link.failure === undefined) return { session, release };
    drop();
    release();
    return await leaseSession(target, signal);
  } catch (cause) {
    // one that could not be opened is tried anew by the next
    if (!signal?.aborted) drop();
    release();
    throw cause;
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}

/** Ends with the signal, while the work goes on for those who wait for it too. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

async function openSession(target: SessionTarget): Promise<XrootdSession> {
  try {
    return await logIn(target, { wantTls: target.tls });
  } catch (cause) {
    if (!(cause instanceof NeedsTls)) throw cause;
    return await logIn(target, { wantTls: true });
  }
}

/** A token is only shown over TLS, which this server has for those who ask. */
class NeedsTls extends Error {}

async function logIn(target: SessionTarget, { wantTls }: { readonly wantTls: boolean }): Promise<XrootdSession> {
  const { where } = target;
  const link = await XrootdLink.open(target);
  try {
    const { status, body } = await link.hello(helloFrame({ wantTls }));
    if (status !== STATUS.ok || body.length < 8) throw refusal(status, body, where);
    const flags = body.readUInt32BE(4);
    if ((flags & FLAG.gotoTls) !== 0) await link.startTls();
    if (wantTls && !link.secure) {
      throw new ColweaveError('source/not-readable', 'the server has no TLS, which roots:// and tokens need', {
        where,
      });
    }
    const user = target.user || userName();
    const answer = await link.request(loginFrame({ user, pid: process.pid, token: target.token ?? '' }));
    if (answer.status !== STATUS.ok) throw refusal(answer.status, answer.body, where);
    const takes = decodeProtocols(answer.body.subarray(16));
    const haveTls = (flags & FLAG.haveTls) !== 0;
    const by = takes.length === 0 ? 'none' : await authenticate(link, { takes, haveTls, user, where });
    return { link, by, takes, vector: vectorLimits(link) };
  } catch (cause) {
    link.destroy();
    throw cause;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'nobody';
  }
}

function refusal(status: number, body: Buffer, where: readonly string[]): ColweaveError {
  return status === STATUS.error
    ? serverError(decodeError(body), where)
    : notProtocol(`the answer to the login is not understood (${status})`, where);
}

interface Door {
  readonly takes: readonly string[];
  readonly haveTls: boolean;
  readonly user: string;
  readonly where: readonly string[];
}

/** Says by what it was let in. A token first, which tells less than a proxy can do; names without a proof last. */
async function authenticate(link: XrootdLink, door: Door): Promise<string> {
  const { takes, user, where } = door;
  let refused: ColweaveError | undefined;
  const token = takes.includes('ztn') ? findToken() : {};
  if (token.usable) {
    refused = await tryToken(link, token.usable, door);
    if (refused === undefined) return 'ztn';
  }
  const proxy = takes.includes('gsi') ? findProxy() : {};
  if (proxy.usable) throw new ProxyAlone();
  for (const name of takes.filter((other) => other === 'unix' || other === 'host')) {
    const credential = name === 'unix' ? `unix\0${user} ${user}\0` : 'host\0';
    refused = await tryCredential(link, name, Buffer.from(credential), where);
    if (refused === undefined) return name;
  }
  throw refused ?? lockedOut(takes, [token, proxy], where);
}

async function tryToken(link: XrootdLink, token: Token, { haveTls, where }: Door): Promise<ColweaveError | undefined> {
  if (!link.secure) {
    if (haveTls) throw new NeedsTls();
    return new ColweaveError('credentials/refused', 'the server takes a token, but has no TLS to keep it secret', {
      where,
    });
  }
  return tryCredential(link, 'ztn', tokenCredential(token.reveal()), where);
}

/** undefined: let in. */
async function tryCredential(
  link: XrootdLink,
  name: string,
  credential: Buffer,
  where: readonly string[],
): Promise<ColweaveError | undefined> {
  const { status, body } = await link.request(authFrame(name, credential));
  if (status === STATUS.ok) return undefined;
  if (status === STATUS.error) {
    const { text } = decodeError(body);
    const what = name === 'ztn' ? 'the token' : `the name of the ${name === 'unix' ? 'user' : 'host'}`;
    return new ColweaveError('credentials/refused', `the server refuses ${what}: ${text}`, { where });
  }
  throw notProtocol(`the answer to the login by ${name} is not understood (${status})`, where);
}

/** Nothing that it takes is at hand: says what is wrong with what was found, or that nothing was. */
function lockedOut(
  takes: readonly string[],
  found: readonly Found<unknown>[],
  where: readonly string[],
): ColweaveError {
  const unusable = found.flatMap((one): Unusable[] => (one.unusable ? [one.unusable] : []));
  const words: Readonly<Record<string, string>> = { gsi: 'an X.509 proxy', ztn: 'a token' };
  const list = takes.map((name) => words[name] ?? name).join(' or ');
  if (unusable[0]) {
    const error = unusableError(unusable[0], where);
    const others = unusable.slice(1).map(({ what, where: [path] }) => `${what}${path ? `: ${path}` : ''}`);
    return new ColweaveError(error.code, error.message, {
      where: error.where,
      hint: error.hint,
      details: [...others, `${where[0]} lets in: ${list}`],
    });
  }
  return new ColweaveError('credentials/absent', `the server lets in ${list}, and none was found`, { where });
}

/** What the server says of its limits; its defaults where it says nothing that is a number. */
async function vectorLimits(link: XrootdLink): Promise<VectorLimits> {
  const { status, body } = await link
    .request(configFrame(['readv_iov_max', 'readv_ior_max']))
    // a link that broke is found broken by the request that matters
    .catch(() => ({ status: STATUS.error, body: Buffer.alloc(0) }));
  if (status !== STATUS.ok) return VECTOR_DEFAULT;
  // textOf makes one line of it: two words
  const [pieces = NaN, bytes = NaN] = textOf(body).split(' ').map(Number);
  const good = (value: number) => Number.isSafeInteger(value) && value > 0;
  return {
    piecesMax: good(pieces) ? Math.min(pieces, VECTOR_DEFAULT.piecesMax) : VECTOR_DEFAULT.piecesMax,
    pieceBytesMax: good(bytes) ? Math.min(bytes, VECTOR_DEFAULT.pieceBytesMax) : VECTOR_DEFAULT.pieceBytesMax,
  };
}
