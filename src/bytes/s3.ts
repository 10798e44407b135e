// Owns s3://BUCKET/KEY: where the server is and who we are, by the environment and files that all AWS tools use; reading is HTTP.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { openHttp } from './http.ts';
import type { Sign } from './http-door.ts';
import { escaped, type S3Keys, signed } from './s3-sign.ts';
import type { ByteStore } from './types.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Section = ReadonlyMap<string, string>;

export interface S3Place {
  readonly isBucket: true;
  readonly url: URL;
  /** Absent: no keys were found, and requests go without a signature, as public buckets take them. */
  readonly sign?: Sign;
}

/** AWS sends single ranges only, and so do its like: several at once get an error or the whole object. */
export async function openS3(uri: string, signal?: AbortSignal): Promise<ByteStore> {
  return openHttp(uri, { ...placeOf(uri), multiRange: false }, signal);
}

/** Errors: source/not-found for a name without bucket or key; credentials/bad-file. */
export function placeOf(uri: string, env: Environment = process.env): S3Place {
  const [, bucket, key] = /^s3:\/\/([^/?#]+)\/(.+)$/is.exec(uri) ?? [];
  if (bucket === undefined || key === undefined) {
    throw new ColweaveError('source/not-found', 'it is no name of an object: s3://BUCKET/KEY', { where: [uri] });
  }
  const profile = profileOf(env);
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || profile.get('region') || 'us-east-1';
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || profile.get('endpoint_url');
  const url = urlOf(uri, bucket, key, { endpoint, region });
  const keys = keysOf(env, profile);
  if (keys === undefined) return { url, isBucket: true };
  return { url, isBucket: true, sign: (request) => signed({ ...request, keys, region, now: new Date() }) };
}

interface Where {
  readonly endpoint: string | undefined;
  readonly region: string;
}

/** A server of one's own has the bucket in the path; AWS in the name of the host, unless that would not fit a certificate. */
function urlOf(uri: string, bucket: string, key: string, { endpoint, region }: Where): URL {
  const path = key.split('/').map(escaped).join('/');
  if (endpoint === undefined) {
    const host = `s3.${region}.amazonaws.com`;
    return new URL(bucket.includes('.') ? `https://${host}/${bucket}/${path}` : `https://${bucket}.${host}/${path}`);
  }
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new ColweaveError('usage/bad-option', 'the S3 endpoint is no URL of http or https', {
      where: [uri],
      hint: 'correct AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or endpoint_url of the profile',
    });
  }
  return new URL(`${endpoint.replace(/\/+$/, '')}/${escaped(bucket)}/${path}`);
}

function keysOf(env: Environment, profile: Section): S3Keys | undefined {
  const own = env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY;
  const id = own ? env.AWS_ACCESS_KEY_ID : profile.get('aws_access_key_id');
  const secret = own ? env.AWS_SECRET_ACCESS_KEY : profile.get('aws_secret_access_key');
  const session = own ? env.AWS_SESSION_TOKEN : profile.get('aws_session_token');
  if (!id || !secret) return undefined;
  return { id, reveal: () => secret, ...(session ? { session: () => session } : {}) };
}

/** The profile's section of the credentials file over that of the config file. Errors: credentials/bad-file. */
function profileOf(env: Environment): Section {
  const name = env.AWS_PROFILE || 'default';
  const home = env.HOME || homedir();
  const config = env.AWS_CONFIG_FILE || join(home, '.aws', 'config');
  const credentials = env.AWS_SHARED_CREDENTIALS_FILE || join(home, '.aws', 'credentials');
  const fromConfig = sectionOf(config, name === 'default' ? name : `profile ${name}`);
  const fromCredentials = sectionOf(credentials, name);
  if (env.AWS_PROFILE && fromConfig === undefined && fromCredentials === undefined) {
    throw new ColweaveError('credentials/bad-file', `no profile is called "${name}" ($AWS_PROFILE)`, {
      where: [credentials],
      hint: `add it there or in ${config}, or name another profile`,
    });
  }
  return new Map([...(fromConfig ?? []), ...(fromCredentials ?? [])]);
}

/** One section of an INI file; undefined: no such file or section. Indented lines (settings of one service) are passed over. */
function sectionOf(path: string, name: string): Section | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  let section: Map<string, string> | undefined;
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const [, heading] = /^\s*\[\s*(.+?)\s*\]/.exec(line) ?? [];
    if (heading !== undefined) {
      inside = heading === name;
      if (inside) section ??= new Map();
      continue;
    }
    const [, key, value] = /^([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (inside && key !== undefined && value !== undefined && value !== '') section?.set(key.toLowerCase(), value);
  }
  return section;
}
