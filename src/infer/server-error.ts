// Owns failures of inference servers: what a status or a lost connection means, and what may be done about it.
import { ColweaveError, type ErrorCode, type ErrorDetail } from '../core/errors.ts';

/**
 * never = every server would say the same; elsewhere = this server or the way to it is sick; later = it is busy;
 * smaller = with fewer rows it may work.
 */
export type Retry = 'never' | 'elsewhere' | 'later' | 'smaller';

export interface ServerErrorDetail extends ErrorDetail {
  readonly retry: Retry;
  /** When the server said so. */
  readonly retryAfterMs?: number | undefined;
}

/** A failure that one server is the cause of. */
export class ServerError extends ColweaveError {
  readonly retry: Retry;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ServerErrorDetail) {
    super(code, message, detail);
    this.retry = detail.retry;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

/** Of an answer that is no answer, this much is shown. */
const SHOWN_BYTES_MAX = 200;

/** The first bytes as one line of printable text. */
export function shown(body: Uint8Array): string {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, SHOWN_BYTES_MAX)).toString('utf8');
  return text
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .concat(body.length > SHOWN_BYTES_MAX ? '...' : '');
}

/** The size is at fault, not the content: Triton for batches and requests, proxies, gRPC. */
const TOO_LARGE =
  /batch-size must be <=|exceeds? (?:the )?(?:maximum|max\b|limit)|larger than (?:the )?max|too large|max-input-size/i;
const MODEL_NOT_FOUND = /ModelNotFound|unknown model/i;
const NOT_SERVED = /not at ready state|not ready|no available versions|unknown model|is not found|not found/i;

export interface Refusal {
  /** Such as `HTTP 503` or `UNAVAILABLE`. */
  readonly status: string;
  readonly text: string;
  readonly where: readonly string[];
  readonly retryAfterMs?: number | undefined;
}

/** Of what kind a refusal is, whatever protocol it came by. */
export type RefusalKind =
  | 'invalid'
  | 'credentials'
  | 'absent'
  | 'too-large'
  | 'failed'
  | 'unsupported'
  | 'busy'
  | 'slow';

/** The error for what a server said instead of an answer. */
export function refusalError(kind: RefusalKind, refusal: Refusal): ServerError {
  const { status, text, where, retryAfterMs } = refusal;
  const said = text === '' ? status : `${status}: ${text}`;
  const make = (code: ErrorCode, message: string, retry: Retry): ServerError =>
    new ServerError(code, `${message} (${said})`, { where, retry, retryAfterMs });
  switch (kind) {
    case 'invalid':
      if (TOO_LARGE.test(text)) return make('infer/too-large', 'the server takes no batch of this size', 'smaller');
      // an unloaded model is a bad request to some servers
      if (NOT_SERVED.test(text)) return make('infer/no-model', 'the server does not serve the model', 'elsewhere');
      return make('infer/refused', 'the server refuses the request', 'never');
    case 'credentials':
      return make('infer/credentials', 'the server refuses the credentials', 'never');
    case 'absent':
      return make('infer/no-model', 'the server does not serve the model', 'elsewhere');
    case 'too-large':
      return make('infer/too-large', 'the server takes no batch of this size', 'smaller');
    case 'failed':
      // MLServer has no status for it over gRPC
      if (MODEL_NOT_FOUND.test(text)) return make('infer/no-model', 'the server does not serve the model', 'elsewhere');
      return make('infer/model-failed', 'the server failed', 'elsewhere');
    case 'unsupported':
      return make('infer/unsupported', 'the server or its model cannot do what is asked', 'never');
    case 'slow':
      return make('infer/no-answer', 'the server gave up waiting', 'elsewhere');
    case 'busy':
      if (NOT_SERVED.test(text)) return make('infer/no-model', 'the server does not serve the model', 'elsewhere');
      return make('infer/overloaded', 'the server is busy', 'later');
  }
}

const HTTP_KINDS: Readonly<Record<number, RefusalKind>> = {
  400: 'invalid',
  401: 'credentials',
  403: 'credentials',
  404: 'absent',
  405: 'unsupported',
  407: 'credentials',
  408: 'slow',
  413: 'too-large',
  415: 'unsupported',
  422: 'invalid',
  429: 'busy',
  500: 'failed',
  501: 'unsupported',
  502: 'busy',
  503: 'busy',
  504: 'slow',
};

/** A status that is not named counts as its class does: 4xx are requests that stay bad, the others pass. */
export function httpKind(status: number): RefusalKind {
  return HTTP_KINDS[status] ?? (status >= 500 ? 'failed' : 'unsupported');
}

/** A number of seconds or a date, as HTTP has it. */
export function retryAfterMs(text: string | undefined, now: number): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Nothing came, or it stopped coming: the next server, or this one later, may do better. */
export function lostError(url: string, cause: unknown): ServerError {
  const text = cause instanceof Error ? cause.message || ((cause as NodeJS.ErrnoException).code ?? '') : String(cause);
  const trust = /certificate|self-signed|SSL|TLS|altname/i.test(text);
  return new ServerError('infer/unreachable', `the connection failed: ${text}`, {
    where: [url],
    retry: 'elsewhere',
    cause,
    ...(trust ? { hint: 'name the certificate of its authority with --ca FILE' } : {}),
  });
}

export function noAnswer(url: string, rows: number, limitMs: number): ServerError {
  const message = `no answer to ${rows} rows within ${(limitMs / 1000).toFixed(1)} s`;
  return new ServerError('infer/no-answer', message, { where: [url], retry: 'elsewhere' });
}

/** What came is no answer to what was asked. */
export function badAnswer(url: string, message: string, hint?: string): ServerError {
  return new ServerError('infer/bad-answer', message, {
    where: [url],
    retry: 'elsewhere',
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The same failure, after which nothing more is tried. */
export function givenUp(failure: ServerError, ms: number): ServerError {
  return new ServerError(failure.code, `${failure.message}; given up after ${Math.round(ms / 1000)} s`, {
    where: failure.where,
    hint: failure.hint,
    retry: 'never',
    cause: failure,
  });
}
