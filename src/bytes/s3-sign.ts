// Owns AWS Signature Version 4 of single requests (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
import { createHash, createHmac } from 'node:crypto';

export interface S3Keys {
  readonly id: string;
  readonly reveal: () => string;
  /** Of temporary credentials. */
  readonly session?: () => string;
}

export interface Signing {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly keys: S3Keys;
  readonly region: string;
  readonly now: Date;
}

/** Not part of what is signed: a proxy in between may write them anew. */
const UNSIGNED = new Set(['user-agent', 'accept-encoding', 'authorization']);

/** The headers to send: those given, and what proves who sends them. */
export function signed({ method, url, headers, body, keys, region, now }: Signing): Record<string, string> {
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const payload = sha256(body ?? '');
  const all: Record<string, string> = {
    ...headers,
    Host: url.host,
    'x-amz-content-sha256': payload,
    'x-amz-date': time,
    ...(keys.session === undefined ? {} : { 'x-amz-security-token': keys.session() }),
  };
  const entries = Object.entries(all)
    .map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
    .filter(([name]) => !UNSIGNED.has(name))
    .sort(([left], [right]) => (left < right ? -1 : 1));
  const names = entries.map(([name]) => name).join(';');
  const canonical = [
    method,
    url.pathname,
    canonicalQuery(url),
    ...entries.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payload,
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (each, word) => createHmac('sha256', each).update(word).digest(),
    `AWS4${keys.reveal()}`,
  );
  const signature = createHmac('sha256', key).update(text).digest('hex');
  return {
    ...all,
    Authorization: `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope},SignedHeaders=${names},Signature=${signature}`,
  };
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

function canonicalQuery({ searchParams }: URL): string {
  return [...searchParams]
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .sort()
    .join('&');
}

/** As AWS wants it: all but unreserved characters. */
export function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
