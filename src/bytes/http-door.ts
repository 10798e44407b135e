// Owns asking for one object over HTTP: who we say we are, redirects, and what each status means.
import { ColweaveError } from '../core/errors.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { findProxy, findToken, unusableError } from './credentials.ts';
import { type Answer, PATIENCE, type Patience, send } from './http-message.ts';
import { policyHere, type RetryPolicy, stageMsMax, TryAgain } from './retry.ts';

/** An object behind a URL, and how it is asked for. */
export interface Door {
  /** As the user wrote it: what messages show. */
  readonly uri: string;
  readonly url: URL;
  /** Where the last redirect led: asked first, so that each request costs one journey. */
  moved: URL | undefined;
  readonly patience: Patience;
  readonly policy: RetryPolicy;
  /** Signs a request (S3); absent: a token or a proxy, where there is one. */
  readonly sign?: Sign;
  /** Of S3: neither tokens nor proxies are for it. */
  readonly isBucket: boolean;
}

export type Sign = (request: {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}) => Readonly<Record<string, string>>;

export interface DoorOptions {
  readonly isBucket?: boolean;
  /** Where the object is, when its name is no URL of http. */
  readonly url?: URL;
  readonly patience?: Partial<Patience>;
  readonly policy?: Partial<RetryPolicy>;
  readonly sign?: Sign;
}

export function doorTo(uri: string, url: URL, { patience, policy, sign, isBucket = false }: DoorOptions = {}): Door {
  return {
    uri,
    url,
    moved: undefined,
    isBucket,
    patience: { ...within(PATIENCE), ...patience },
    policy: { ...policyHere(), ...policy },
    ...(sign === undefined ? {} : { sign }),
  };
}

function within({ connectMs, answerMs, stallMs, stallBytesMin }: Patience): Patience {
  const most = stageMsMax();
  const bounded = { connectMs: Math.min(connectMs, most), answerMs: Math.min(answerMs, most) };
  return { ...bounded, stallMs: Math.min(stallMs, most), stallBytesMin };
}

/** As browsers and curl have it or less: a grid door redirects once or twice. */
const REDIRECTS_MAX = 10;
/** A server that wants to be left alone for longer is not waited for. */
const RETRY_AFTER_MS_MAX = 60_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);

export interface DoorAsk {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Query to add, S3's subresources. */
  readonly query?: string;
  readonly signal: AbortSignal;
  /** Statuses that the caller knows what to do with; all others but 2xx are errors. */
  readonly expects: readonly number[];
}

/**
 * One request, and those that redirects ask for. Errors: TryAgain for what may pass; source/not-found,
 * source/not-readable, credentials/..., remote/protocol.
 */
export async function askDoor(door: Door, ask: DoorAsk): Promise<Answer> {
  const start = withQuery(door.moved ?? door.url, ask.query);
  let url = start;
  for (let redirects = 0; ; redirects++) {
    const answer = await askThere(door, url, ask).catch((cause) => {
      door.moved = undefined; // another try starts at the door
      throw cause;
    });
    const { status, headers } = answer;
    if (REDIRECTS.has(status) && !ask.expects.includes(status)) {
      answer.drop();
      url = nextUrl(door, url, headers.location, redirects);
      continue;
    }
    if ((status >= 200 && status < 300) || ask.expects.includes(status)) {
      if (url !== start && ask.query === undefined) door.moved = url;
      return answer;
    }
    const wasMoved = door.moved !== undefined;
    door.moved = undefined;
    const error = await errorOf(door, url, answer);
    // what a redirect led to may be past its time: the door knows a new place
    throw wasMoved && !(error instanceof TryAgain) ? new TryAgain(error, 0) : error;
  }
}

function withQuery(url: URL, query: string | undefined): URL {
  if (query === undefined) return url;
  const asked = new URL(url.href);
  asked.search = query;
  return asked;
}

function nextUrl(door: Door, url: URL, location: string | undefined, redirects: number): URL {
  const where = [door.uri];
  if (redirects >= REDIRECTS_MAX) {
    throw new ColweaveError('remote/protocol', `${url.host} redirects without end`, {
      where,
      details: [`after ${REDIRECTS_MAX} redirects: ${withoutSecrets(url.href)}`],
    });
  }
  const next = location === undefined || !URL.canParse(location, url.href) ? undefined : new URL(location, url.href);
  if (next === undefined || !/^https?:$/.test(next.protocol)) {
    throw new ColweaveError('remote/protocol', `${url.host} redirects to where nothing can be read from`, {
      where,
      details: location === undefined ? [] : [`it says: ${withoutSecrets(location)}`],
    });
  }
  if (url.protocol === 'https:' && next.protocol === 'http:' && next.hostname !== url.hostname) {
    throw new ColweaveError('remote/protocol', `${url.host} redirects from https to plain http on another host`, {
      where,
      details: [`to ${withoutSecrets(next.href)}`],
    });
  }
  return next;
}

function askThere(door: Door, url: URL, { method, headers, body, signal }: DoorAsk): Promise<Answer> {
  const common = { 'Accept-Encoding': 'identity', 'User-Agent': 'colweave', ...headers };
  const own = url.host === door.url.host ? identified(door, { method, url, headers: common, body }) : common;
  const message = { method, url: bare(url), headers: own, patience: door.patience, signal };
  const withProxy = door.sign === undefined && !door.isBucket && !isPresigned(url);
  return send(body === undefined ? { ...message, withProxy } : { ...message, withProxy, body });
}

/** Only for the server that the user named: not for any that it redirects to. */
function identified(
  door: Door,
  { method, url, headers, body }: Pick<DoorAsk, 'method' | 'headers'> & { url: URL; body: Uint8Array | undefined },
): Readonly<Record<string, string>> {
  if (door.sign === undefined) return { ...headers, ...bearer(door, url) };
  return door.sign({ method, url, headers, ...(body === undefined ? {} : { body }) });
}

/** A token goes to the server that the user named, over TLS, and to nobody that it redirects to. */
function bearer(door: Door, url: URL): Readonly<Record<string, string>> {
  if (url.username !== '') return { Authorization: `Basic ${basic(url)}` };
  if (door.isBucket || !tokenMayGo(door, url)) return {};
  const { usable } = findToken();
  return usable === undefined ? {} : { Authorization: `Bearer ${usable.reveal()}` };
}

function tokenMayGo(door: Door, url: URL): boolean {
  return url.protocol === 'https:' && url.host === door.url.host && !isPresigned(url);
}

const basic = (url: URL): string =>
  Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64');

function bare(url: URL): URL {
  if (url.username === '' && url.password === '') return url;
  const plain = new URL(url.href);
  plain.username = '';
  plain.password = '';
  return plain;
}

/** Its query holds the right to read it; a further credential would be one too many. */
function isPresigned(url: URL): boolean {
  return /[?&](X-Amz-Signature|Signature|X-Goog-Signature|authz)=/i.test(url.search);
}

async function errorOf(door: Door, url: URL, answer: Answer): Promise<ColweaveError | TryAgain> {
  const { status, headers } = answer;
  const where = [door.uri];
  const said = await answer.text();
  const { code, message } = xmlError(said);
  const words = message === '' ? '' : `: ${message}`;
  if (status === 404 || status === 410)
    return new ColweaveError('source/not-found', `no such file on ${url.host}`, { where });
  if (status === 401 || status === 403) return refusal(door, url, { status, code, message });
  if (code === 'ExpiredToken' || /has expired/i.test(message)) return expired(url, where, message);
  if (status === 412) return replaced(door);
  if (BUSY.has(status)) {
    const error = new ColweaveError('remote/busy', `${url.host} answers ${status}${words}`, { where });
    return new TryAgain(error, retryAfter(headers['retry-after']));
  }
  return new ColweaveError('source/not-readable', `${url.host} answers ${status}${words}`, { where });
}

/** Told by whatever says that the file is another one now. */
export function replaced(door: Door): ColweaveError {
  return new ColweaveError('remote/changed', 'the file was replaced on its server while it was read', {
    where: [door.uri],
  });
}

/** S3 says why in XML. */
function xmlError(text: string): { readonly code: string; readonly message: string } {
  const tag = (name: string) => new RegExp(`<${name}>([^<]{0,300})</${name}>`).exec(text)?.[1]?.trim() ?? '';
  return { code: tag('Code'), message: tag('Message') };
}

/** Seconds, or a date. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds * 1000), RETRY_AFTER_MS_MAX) : undefined;
}

function expired(url: URL, where: readonly string[], message: string): ColweaveError {
  const what = isPresigned(url) ? 'the signed URL is past its time' : 'the credential is past its time';
  return new ColweaveError('credentials/expired', `${what}: ${url.host} says "${message}"`, {
    where,
    hint: isPresigned(url) ? 'ask for a new URL where this one came from' : 'get a new one',
  });
}

interface Refused {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Says which credential was given, or why none was. */
function refusal(door: Door, url: URL, { status, code, message }: Refused): ColweaveError {
  const where = [door.uri];
  if (/expired/i.test(code) || /expired/i.test(message)) return expired(url, where, message || code);
  const said = `${url.host} answers ${status}${message === '' ? '' : `: ${message}`}`;
  if (door.sign !== undefined) return new ColweaveError('credentials/refused', said, { where });
  if (door.isBucket) {
    return new ColweaveError('credentials/absent', `${said}; no S3 keys were found`, {
      where,
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile in ~/.aws',
    });
  }
  if (isPresigned(url)) {
    return new ColweaveError('credentials/refused', `${said}; the signature in the URL is not accepted`, {
      where,
      hint: 'ask for a new URL where this one came from, and give it whole',
    });
  }
  const token = findToken();
  const proxy = findProxy();
  if (url.protocol === 'http:') {
    const has = token.usable !== undefined || proxy.usable !== undefined;
    return new ColweaveError('credentials/absent', `${said}; over http no credential is given`, {
      where,
      ...(has ? { hint: 'name the file with https:// (davs://)' } : {}),
    });
  }
  const given = [
    ...(token.usable !== undefined && tokenMayGo(door, url) ? [`the token in ${token.usable.from}`] : []),
    ...(proxy.usable === undefined ? [] : [`the proxy ${proxy.usable.path}`]),
  ];
  const unusable = [token.unusable, proxy.unusable].filter((each) => each !== undefined);
  if (given.length === 0) {
    const [first, ...others] = unusable;
    if (first === undefined)
      return new ColweaveError('credentials/absent', `${said}, and no token or proxy was found`, { where });
    const error = unusableError(first, where);
    const details = [said, ...others.map(({ what, where: path }) => [what, ...path].join(': '))];
    return new ColweaveError(error.code, error.message, { where: error.where, hint: error.hint, details });
  }
  return new ColweaveError('credentials/refused', `${said}; it was given ${given.join(' and ')}`, {
    where,
    details: unusable.map(({ what, where: path }) => [what, ...path].join(': ')),
  });
}
