// Owns finding and checking credentials: X.509 proxies, bearer tokens, authorities. What opens a door is never shown or kept.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Why something that was found cannot be used: an error to throw once a server turns out to want it. */
export interface Unusable {
  readonly code: Extract<ErrorCode, 'credentials/bad-file' | 'credentials/expired'>;
  /** Such as `the proxy in $X509_USER_PROXY is past its time: it ended at 2026-01-01T00:00:00Z`. */
  readonly what: string;
  readonly where: readonly string[];
  readonly hint: string;
}

/** `reveal` is a function so that no dump of the object shows what it gives. */
export interface GridProxy {
  /** Certificate chain and key, one PEM text that is both to TLS. */
  readonly reveal: () => string;
  readonly path: string;
  readonly expires: Date;
}

export interface Token {
  readonly reveal: () => string;
  /** A file, or the name of a variable. */
  readonly from: string;
  readonly path?: string;
  readonly expires?: Date;
}

/** `unusable`: something lies there, and this is what is wrong with it. Neither: nothing was found. */
export interface Found<Credential> {
  readonly usable?: Credential;
  readonly unusable?: Unusable;
}

export interface Finder {
  readonly env?: Environment;
  readonly uid?: number;
  /** Where /tmp/x509up_u$UID and /tmp/bt_u$UID are. */
  readonly tmp?: string;
  readonly now?: Date;
}

const PROXY_HINT = 'make a new one: voms-proxy-init';
const TOKEN_HINT = 'get a new one: htgettoken';
/** Anybody but the owner may read or change such a file. */
const OTHERS = 0o077;

/** $X509_USER_PROXY, else /tmp/x509up_u$UID. */
export function findProxy(finder: Finder = {}): Found<GridProxy> {
  const { env = process.env, uid = process.getuid?.() ?? 0, tmp = '/tmp', now = new Date() } = finder;
  const named = env.X509_USER_PROXY;
  const path = named || join(tmp, `x509up_u${uid}`);
  const who = named ? 'the proxy in $X509_USER_PROXY' : 'the proxy';
  const bad = (why: string, code: Unusable['code'] = 'credentials/bad-file'): Found<GridProxy> => ({
    unusable: { code, what: `${who} ${why}`, where: [path], hint: PROXY_HINT },
  });
  const read = readPrivate(path, uid);
  if (read === undefined) return named ? bad('does not exist') : {};
  if ('why' in read) return bad(read.why);
  const chain = read.text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (chain.length === 0) return bad('holds no certificate');
  if (!/-----BEGIN (RSA |EC )?PRIVATE KEY-----/.test(read.text)) return bad('holds no private key');
  let expires = new Date(8.64e15);
  try {
    for (const pem of chain) {
      const end = new Date(new X509Certificate(pem).validTo);
      if (end < expires) expires = end;
    }
  } catch {
    return bad('holds a certificate that cannot be decoded');
  }
  if (expires <= now) return bad(`is past its time: it ended at ${iso(expires)}`, 'credentials/expired');
  return { usable: { reveal: () => read.text, path, expires } };
}

/**
 * By the order of WLCG bearer token discovery: $BEARER_TOKEN, $BEARER_TOKEN_FILE, $XDG_RUNTIME_DIR/bt_u$UID,
 * /tmp/bt_u$UID; then what HTCondor puts into $_CONDOR_CREDS. The first that is there counts, usable or not.
 */
export function findToken(finder: Finder = {}): Found<Token> {
  const { env = process.env, uid = process.getuid?.() ?? 0, tmp = '/tmp', now = new Date() } = finder;
  if (env.BEARER_TOKEN) return checkToken(env.BEARER_TOKEN, { from: '$BEARER_TOKEN' }, now);
  if (env.BEARER_TOKEN_FILE) {
    const path = env.BEARER_TOKEN_FILE;
    return (
      tokenFile(path, { name: 'in $BEARER_TOKEN_FILE', uid, now }) ??
      unusableToken('in $BEARER_TOKEN_FILE', 'does not exist', path)
    );
  }
  const runtime = env.XDG_RUNTIME_DIR;
  const candidates = [
    ...(runtime ? [join(runtime, `bt_u${uid}`)] : []),
    join(tmp, `bt_u${uid}`),
    ...condorTokens(env._CONDOR_CREDS),
  ];
  for (const path of candidates) {
    const found = tokenFile(path, { name: '', uid, now });
    if (found !== undefined) return found;
  }
  return {};
}

function condorTokens(folder: string | undefined): readonly string[] {
  if (!folder) return [];
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.use'));
    return names.sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
}

interface TokenPlace {
  readonly name: string;
  readonly uid: number;
  readonly now: Date;
}

function tokenFile(path: string, { name, uid, now }: TokenPlace): Found<Token> | undefined {
  const read = readPrivate(path, uid);
  if (read === undefined) return undefined;
  if ('why' in read) return unusableToken(name, read.why, path);
  return checkToken(read.text, { from: path, path, name }, now);
}

function checkToken(
  text: string,
  { from, path, name = `in ${from}` }: { readonly from: string; readonly path?: string; readonly name?: string },
  now: Date,
): Found<Token> {
  const token = text.trim();
  if (token === '') return unusableToken(name, 'is empty', path);
  if (!/^[\x21-\x7e]+$/.test(token)) return unusableToken(name, 'holds characters that no token has', path);
  const expires = expiryOf(token);
  if (expires !== undefined && expires <= now) {
    return unusableToken(name, `is past its time: it ended at ${iso(expires)}`, path, 'credentials/expired');
  }
  const rest = { ...(path === undefined ? {} : { path }), ...(expires === undefined ? {} : { expires }) };
  return { usable: { reveal: () => token, from, ...rest } };
}

function unusableToken(
  name: string,
  why: string,
  path: string | undefined,
  code: Unusable['code'] = 'credentials/bad-file',
): Found<Token> {
  const what = ['the token', name, why].filter((word) => word !== '').join(' ');
  return { unusable: { code, what, where: path === undefined ? [] : [path], hint: TOKEN_HINT } };
}

/** Of a JSON web token; other tokens do not say. */
function expiryOf(token: string): Date | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8')) as { exp?: unknown };
    return typeof exp === 'number' ? new Date(exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}

/** undefined: there is no such file. */
function readPrivate(path: string, uid: number): { readonly text: string } | { readonly why: string } | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : { why: 'cannot be looked at: permission denied' };
  }
  if (!status.isFile()) return { why: 'is no file' };
  if (status.uid !== uid && status.uid !== 0) return { why: 'belongs to another user' };
  const mode = status.mode & 0o777;
  if ((mode & OTHERS) !== 0) {
    return { why: `may be read by others: its mode is 0${mode.toString(8)}, and must be 0600 (chmod 600)` };
  }
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch {
    return { why: 'cannot be read: permission denied' };
  }
}

const iso = (date: Date): string => date.toISOString().replace('.000Z', 'Z');

export function unusableError({ code, what, where, hint }: Unusable, place: readonly string[]): ColweaveError {
  return new ColweaveError(code, what, { where: where.length > 0 ? where : place, hint });
}

/** $X509_CERT_DIR, else /etc/grid-security/certificates. */
export function authorityFolder(env: Environment = process.env): string {
  return env.X509_CERT_DIR || '/etc/grid-security/certificates';
}

let known: { readonly folder: string; readonly list: readonly string[] } | undefined;

/** Authorities as TLS wants them: those of Node and of $SSL_CERT_FILE, and the grid's; read once a thread. */
export function authorities(env: Environment = process.env): string[] {
  const folder = authorityFolder(env);
  if (known?.folder !== folder) {
    const own = env.SSL_CERT_FILE ? certificatesIn(env.SSL_CERT_FILE) : [];
    known = { folder, list: [...getCACertificates('default'), ...own, ...gridAuthorities(folder)] };
  }
  return [...known.list];
}

/** Hashed names (`5168735f.0`) and PEM files; a folder that is not there holds none. */
function gridAuthorities(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const files = names.filter((name) => /\.(\d|pem|crt)$/.test(name)).sort();
  return [...new Set(files.flatMap((name) => certificatesIn(join(folder, name))))];
}

function certificatesIn(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  } catch {
    return [];
  }
}
