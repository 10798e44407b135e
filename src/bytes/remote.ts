// Owns names of files on servers: which words are URLs, and how a redirector stands in front of a /store name.
import { ColweaveError } from '../core/errors.ts';

/** Of the XRootD protocol. */
export const XROOTD_SCHEMES: readonly string[] = ['root', 'roots', 'xroot', 'xroots'];

const SCHEMES = /^(?:x?roots?|https?|davs?|s3|gs|gsiftp|srm):\/\//i;
/** `root://HOST`, `root://HOST:PORT//`, with a path that all names are below, or a host alone. */
const REDIRECTOR = /^(?:(x?roots?|https?|davs?):\/\/)?([\w.-]+(?::\d+)?)((?:\/+[\w.+%-]+)*)\/*$/i;

export function isRemote(word: string): boolean {
  return SCHEMES.test(word);
}

/** A logical name of CMS: the same on every server. */
export function isStoreName(word: string): boolean {
  return word.startsWith('/store/');
}

/** What `--redirector` may be, with slashes such that a /store name can follow; undefined = it is no URL of a server. */
export function normalRedirector(text: string): string | undefined {
  const [, scheme = 'root', host, path] = REDIRECTOR.exec(text) ?? [];
  if (host === undefined || path === undefined) return undefined;
  // in a root:// URL the path begins with a slash of its own
  const root = /root/i.test(scheme);
  const below = path.replace(/^\/+/, '');
  return `${scheme.toLowerCase()}://${host}${below === '' ? '' : `${root ? '//' : '/'}${below}`}`;
}

/** `/store/x.root` -> `root://HOST//store/x.root`, one for each of the redirectors (joined by commas); any other name stays. */
export function withRedirectors(word: string, redirectors: string | undefined): readonly [string, ...string[]] {
  if (redirectors === undefined || !isStoreName(word)) return [word];
  const [first, ...others] = redirectors.split(',').map((redirector) => {
    const root = /^x?roots?:\/\/[^/]+$/i.test(redirector);
    return `${redirector}${root ? '/' : ''}${word}`;
  });
  return [first!, ...others];
}

/** Two spellings of one place are equal: scheme and host in any case, davs or https, the usual port named or not. */
export function canonicalUrl(uri: string): string {
  const [, scheme, rest] = /^([a-z0-9+.-]+):\/\/(.*)$/is.exec(uri) ?? [];
  if (scheme === undefined || rest === undefined) return uri;
  const web = scheme
    .toLowerCase()
    .replace(/^dav(s?)$/, 'http$1')
    .replace(/^xroot/, 'root');
  const url = `${web}://${rest}`;
  if (/^https?$/.test(web)) return URL.canParse(url) ? new URL(url).href.replace(/#.*$/, '') : uri;
  return url.replace(/^(\w+:\/\/[^/]*)\/+/, (_, host: string) => `${host.toLowerCase()}//`);
}

export function refuseRemote(uri: string): void {
  if (!isRemote(uri)) return;
  const copy = /^x?roots?:/i.test(uri) ? 'xrdcp' : 'gfal-copy';
  throw new ColweaveError('source/remote', 'files on servers of this kind cannot be read', {
    where: [uri],
    hint: `bring the file here first (${copy}), or give its path where the file system is mounted`,
  });
}
