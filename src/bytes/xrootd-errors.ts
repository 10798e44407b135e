// Owns what a failure of an XRootD server or of the way there means: codes of ours, and whether another try may do better.
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { authorityFolder } from './credentials.ts';
import { TryAgain, worthRetrying } from './retry.ts';
import type { ServerError } from './xrootd-wire.ts';

/** By the protocol's numbers; any other is `source/not-readable`, with the server's own words. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  3003: 'remote/busy', // locked by a writer
  3004: 'remote/protocol', // not open: it lost our handle
  3005: 'remote/busy', // file system
  3007: 'remote/busy', // I/O
  3008: 'remote/busy', // memory
  3010: 'credentials/refused',
  3011: 'source/not-found',
  3012: 'remote/busy', // its own failure
  3014: 'remote/busy', // no server has it now
  3017: 'remote/busy', // cancelled
  3019: 'remote/busy', // checksum
  3020: 'remote/busy', // in progress
  3024: 'remote/busy', // overloaded
  3030: 'credentials/refused',
  3034: 'remote/busy', // timed out
  3035: 'remote/busy',
};

const SAID: Partial<Record<ErrorCode, string>> = {
  'source/not-found': 'the server has no such file',
  'credentials/refused': 'the server does not let this credential read it',
  'remote/busy': 'the server cannot serve it now',
};

export function serverError({ number, text }: ServerError, where: readonly string[]): ColweaveError {
  const code = CODES[number] ?? 'source/not-readable';
  const what = SAID[code] ?? 'the server refuses';
  return new ColweaveError(code, `${what}: ${text || 'it does not say why'} (${number})`, { where });
}

/** TLS of Node: the chain ends at an authority that is not known, or begins with itself. */
const UNKNOWN_AUTHORITY =
  /^(UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/;

/** Of a socket that failed. */
export function connectionError(cause: NodeJS.ErrnoException, where: readonly string[]): ColweaveError {
  const { code = '' } = cause;
  if (UNKNOWN_AUTHORITY.test(code)) {
    const folder = authorityFolder();
    return new ColweaveError(
      'credentials/no-ca',
      `the server's certificate is signed by an authority that is not in ${folder}`,
      { where, cause },
    );
  }
  if (/^CERT_|^ERR_TLS_CERT/.test(code)) {
    return new ColweaveError('credentials/no-ca', `the server's certificate does not hold: ${cause.message}`, {
      where,
      cause,
      hint: 'name another server, or tell those who run this one',
    });
  }
  const why: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nobody listens there',
    ECONNRESET: 'the connection was reset',
    EPIPE: 'the connection was reset',
    ENOTFOUND: 'no such host',
    EAI_AGAIN: 'its name cannot be looked up now',
    ETIMEDOUT: 'no answer to the connection',
    EHOSTUNREACH: 'no way to that host',
    ENETUNREACH: 'no way to that network',
  };
  return new ColweaveError('remote/unreachable', `no connection: ${why[code] ?? cause.message}`, { where, cause });
}

/** For `retrying`: what is worth another try is marked so, anything else stays as it is. */
export function tryAgainIfWorth(cause: unknown): unknown {
  if (!(cause instanceof ColweaveError) || !worthRetrying(cause)) return cause;
  const isNoHost = (cause.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOTFOUND';
  return isNoHost ? cause : new TryAgain(cause);
}
