// Owns finding the server that has a file and opening it there: redirects, waits, servers that failed and are told of.
import { setTimeout as sleep } from 'node:timers/promises';
import { ColweaveError } from '../core/errors.ts';
import { findProxy, findToken } from './credentials.ts';
import { serverError } from './xrootd-errors.ts';
import type { Answer } from './xrootd-link.ts';
import { type Lease, leaseSession, ProxyAlone, type SessionTarget, type XrootdSession } from './xrootd-session.ts';
import type { LinkLimits } from './xrootd-watch.ts';
import {
  closeFrame,
  decodeError,
  decodeOpened,
  decodeRedirect,
  decodeStatus,
  type FileStatus,
  type Frame,
  notProtocol,
  openFrame,
  type RootUrl,
  STATUS,
  serverName,
  statFrame,
} from './xrootd-wire.ts';

/** As many as the official client follows. */
const REDIRECTS_MAX = 16;
/** A server that says `wait` for longer is asked again after this time, as the official client does. */
const WAIT_SECONDS_MAX = 30;

/** A server that does not answer a close for so long is not waited for. */
const CLOSE_MS_MAX = 500;

/** A file that is open on the server that has it. */
export interface RemoteFile {
  readonly session: XrootdSession;
  readonly handle: Uint8Array;
  readonly status: FileStatus;
  readonly server: string;
  /** Tells the server, and lets the session go; ends when the server knows. */
  close(): Promise<void>;
}

interface Hop {
  readonly host: string;
  readonly port: number;
  readonly opaque: string;
  readonly token: string;
}

/**
 * Opens for reading, following redirects. A server that fails is named to the redirector that led there, so that it
 * picks another. Errors: source/not-found, source/not-readable, credentials/*, remote/*; ProxyAlone.
 */
export async function openRemote(
  url: RootUrl,
  {
    where,
    limits,
    signal,
  }: { readonly where: readonly string[]; readonly limits?: LinkLimits; readonly signal?: AbortSignal },
): Promise<RemoteFile> {
  const first: Hop = { host: url.host, port: url.port, opaque: '', token: '' };
  const tried: string[] = [];
  let hop = first;
  let redirector: Hop | undefined;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const target = sessionTarget(url, hop, limits);
    const opaque = [url.opaque, hop.opaque, tried.length > 0 ? `tried=${tried.join(',')}` : ''];
    try {
      const step = await openAt(target, withOpaque(url.path, opaque), { where, signal });
      if ('session' in step) return step;
      redirector = hop;
      hop = step;
    } catch (cause) {
      const elsewhere = cause instanceof ColweaveError && /^remote\/|^source\/not-found/.test(cause.code);
      if (redirector === undefined || hop === first || !elsewhere || tried.includes(hop.host)) throw cause;
      tried.push(hop.host);
      hop = redirector;
      redirector = undefined;
    }
  }
  throw new ColweaveError('remote/protocol', `redirected ${REDIRECTS_MAX} times without an end`, {
    where,
    details: [`last to ${serverName(hop.host, hop.port)}`],
  });
}

function sessionTarget(url: RootUrl, { host, port, token }: Hop, limits: LinkLimits | undefined): SessionTarget {
  const where = [serverName(host, port)];
  return { host, port, where, tls: url.tls, user: url.user, token, ...(limits ? { limits } : {}) };
}

function withOpaque(path: string, parts: readonly string[]): string {
  const opaque = parts.map((part) => part.replace(/^[?&]+|&+$/g, '')).filter((part) => part !== '');
  return opaque.length === 0 ? path : `${path}?${opaque.join('&')}`;
}

interface Place {
  readonly where: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

async function openAt(target: SessionTarget, path: string, { where, signal }: Place): Promise<RemoteFile | Hop> {
  const lease = await leaseSession(target, signal);
  try {
    const { session } = lease;
    const answer = await ask(session, () => openFrame(path), { where, signal });
    if (answer.status === STATUS.redirect) {
      lease.release();
      return decodeRedirect(answer.body, where);
    }
    const opened = decodeOpened(answer.body, where);
    const status = opened.status ?? (await statusOf({ session, handle: opened.handle }, { where, signal }));
    return remoteFile(lease, { ...opened, status, server: serverName(target.host, target.port) });
  } catch (cause) {
    lease.release();
    throw otherDoor(cause, lease.session);
  }
}

/** Let in by a token that may not read this file: a proxy may, and if there is none, it is told what was tried. */
function otherDoor(cause: unknown, { by, takes }: XrootdSession): unknown {
  if (!(cause instanceof ColweaveError) || cause.code !== 'credentials/refused' || by === 'none') return cause;
  if (takes.includes('gsi') && findProxy().usable) return new ProxyAlone();
  const token = by === 'ztn' ? findToken().usable : undefined;
  const given = token ? `the token in ${token.from}` : `a ${by} name without a proof`;
  const { code, message, where, hint } = cause;
  return new ColweaveError(code, message, { where, hint, details: [`it was given ${given}`] });
}

function remoteFile(
  lease: Lease,
  file: { readonly handle: Uint8Array; readonly status: FileStatus; readonly server: string },
): RemoteFile {
  const { session } = lease;
  let open = true;
  return {
    ...file,
    session,
    async close() {
      if (!open) return;
      open = false;
      // a broken link closes what was open
      const soon = AbortSignal.timeout(CLOSE_MS_MAX);
      if (session.link.failure === undefined) await session.link.request(closeFrame(file.handle), soon).catch(() => {});
      lease.release();
    },
  };
}

export async function statusOf(
  { session, handle }: Pick<RemoteFile, 'session' | 'handle'>,
  place: Place,
): Promise<FileStatus> {
  const answer = await ask(session, () => statFrame(handle), place);
  if (answer.status === STATUS.redirect) throw notProtocol('a redirect where a status was due', place.where);
  return decodeStatus(answer.body, place.where);
}

/** Sends until the server does not say `wait` any more. Errors of the server are thrown; a redirect is returned. */
export async function ask(session: XrootdSession, make: () => Frame, { where, signal }: Place): Promise<Answer> {
  for (;;) {
    const answer = await session.link.request(make(), signal);
    switch (answer.status) {
      case STATUS.ok:
      case STATUS.redirect:
        return answer;
      case STATUS.error:
        throw serverError(decodeError(answer.body), where);
      case STATUS.wait:
        await sleep(waitMs(answer.body), undefined, signal ? { signal } : {});
        break;
      default:
        throw notProtocol(`an answer has a status that is not understood (${answer.status})`, where);
    }
  }
}

export function waitMs(body: Buffer): number {
  const seconds = body.length < 4 ? 1 : body.readInt32BE(0);
  return Math.min(Math.max(seconds, 0), WAIT_SECONDS_MAX) * 1000;
}
