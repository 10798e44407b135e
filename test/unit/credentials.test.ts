// Credentials are found where grid tools look, in their order; what is wrong with one is said, and none is ever shown.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProxy, findToken } from '../../src/bytes/credentials.ts';
import { placeOf } from '../../src/bytes/s3.ts';
import { signed } from '../../src/bytes/s3-sign.ts';
import { withoutSecrets } from '../../src/core/secrets.ts';

let folder: string;
const uid = process.getuid!();
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-credentials-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function put(name: string, text: string, mode = 0o600): string {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
  return at(name);
}

const jwt = (exp: number) =>
  ['{"alg":"none"}', JSON.stringify({ exp }), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const now = new Date('2026-11-25T12:00:00Z');
const inAnHour = now.getTime() / 1000 + 3600;

describe('tokens', () => {
  test('the order of WLCG bearer token discovery, then HTCondor', () => {
    const tmp = at('tmp');
    mkdirSync(join(tmp, 'run'), { recursive: true });
    mkdirSync(join(tmp, 'creds'));
    const env: Record<string, string> = {};
    const from = () => findToken({ env, uid, tmp, now }).usable?.reveal();
    expect(from()).toBeUndefined();
    env._CONDOR_CREDS = join(tmp, 'creds');
    put('tmp/creds/scitokens.use', 'from-condor');
    expect(from()).toBe('from-condor');
    put(`tmp/bt_u${uid}`, 'from-tmp\n');
    expect(from()).toBe('from-tmp');
    env.XDG_RUNTIME_DIR = join(tmp, 'run');
    put(`tmp/run/bt_u${uid}`, 'from-runtime');
    expect(from()).toBe('from-runtime');
    env.BEARER_TOKEN_FILE = put('named', 'from-file');
    expect(from()).toBe('from-file');
    env.BEARER_TOKEN = 'from-variable';
    expect(from()).toBe('from-variable');
  });

  test.each([
    [
      'past its time',
      () => put('old', jwt(inAnHour - 7200)),
      'credentials/expired',
      'it ended at 2026-11-25T11:00:00Z',
    ],
    ['readable by others', () => put('open', 'abc', 0o644), 'credentials/bad-file', 'its mode is 0644'],
    ['empty', () => put('empty', '\n'), 'credentials/bad-file', 'is empty'],
    ['absent', () => at('absent'), 'credentials/bad-file', 'does not exist'],
    ['a page', () => put('page', '<html> sign in'), 'credentials/bad-file', 'characters that no token has'],
  ])('%s: said with its file', (_, make, code, text) => {
    const path = make();
    const { usable, unusable } = findToken({ env: { BEARER_TOKEN_FILE: path }, uid, now });
    expect(usable).toBeUndefined();
    expect(unusable).toMatchObject({ code, where: [path] });
    expect(unusable!.what).toContain(text);
  });

  test('no dump of a token shows it', () => {
    const found = findToken({ env: { BEARER_TOKEN: jwt(inAnHour) }, now });
    expect(found.usable?.expires).toEqual(new Date(inAnHour * 1000));
    expect(inspect(found, { depth: 9 }) + JSON.stringify(found)).not.toContain(jwt(inAnHour).slice(0, 8));
  });
});

describe('proxies', () => {
  let good: string;
  beforeAll(() => {
    const words = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=me',
    ];
    execFileSync('openssl', [...words, '-days', '1', '-keyout', at('key'), '-out', at('cert')], { stdio: 'ignore' });
    good = execFileSync('cat', [at('cert'), at('key')], { encoding: 'utf8' });
  });
  const found = (path: string, when = new Date()) => findProxy({ env: { X509_USER_PROXY: path }, uid, now: when });

  test('one that is whole is usable until its first certificate ends', () => {
    const { usable } = found(put('good', good));
    expect(usable?.expires.getTime()).toBeGreaterThan(Date.now());
    expect(inspect(usable) + JSON.stringify(usable)).not.toContain('BEGIN');
    expect(found(at('good'), new Date(Date.now() + 3 * 86_400_000)).unusable?.code).toBe('credentials/expired');
  });

  test('the usual place is looked at when nothing is named; nothing there is no error', () => {
    expect(findProxy({ env: {}, uid, tmp: at('nowhere') })).toEqual({});
    put(`x509up_u${uid}`, good);
    expect(findProxy({ env: {}, uid, tmp: folder }).usable?.path).toBe(at(`x509up_u${uid}`));
  });

  test.each([
    ['readable by others', (text: string) => put('p1', text, 0o640), 'its mode is 0640'],
    [
      'without its key',
      (text: string) => put('p2', text.replace(/-----BEGIN PRIVATE[\s\S]*/, '')),
      'holds no private key',
    ],
    [
      'without a certificate',
      (text: string) => put('p3', text.replace(/-----BEGIN CERT[\s\S]*END CERTIFICATE-----/, '')),
      'holds no certificate',
    ],
    [
      'cut',
      (text: string) => put('p4', text.replace(/[A-Za-z0-9+/=]{40}\n-----END CERT/, '-----END CERT')),
      'cannot be decoded',
    ],
    ['absent', () => at('p5'), 'does not exist'],
  ])('%s: said with its file', (_, make, text) => {
    const path = make(good);
    const { unusable } = found(path);
    expect(unusable).toMatchObject({ code: 'credentials/bad-file', where: [path] });
    expect(unusable!.what).toContain(text);
  });
});

describe('S3', () => {
  // the example of AWS's own documentation: Authenticating Requests, GET Object
  const keys = { id: 'AKIAIOSFODNN7EXAMPLE', reveal: () => 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
  const example = { keys, region: 'us-east-1', now: new Date('2013-05-24T00:00:00Z') };

  test('signs a ranged GET as the documentation does', () => {
    const url = new URL('https://examplebucket.s3.amazonaws.com/test.txt');
    const { Authorization } = signed({ ...example, method: 'GET', url, headers: { Range: 'bytes=0-9' } });
    expect(Authorization).toMatch(/Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/);
  });

  test('signs a query as the documentation does', () => {
    const url = new URL('https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J');
    const { Authorization } = signed({ ...example, method: 'GET', url, headers: {} });
    expect(Authorization).toMatch(/Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/);
  });

  test('finds server, region and keys as AWS tools do', () => {
    put(
      'config',
      '[default]\nregion = eu-central-1\n[profile cms]\nregion=cern\nendpoint_url = https://s3.cern.example\n',
    );
    put('credentials', '[cms]\naws_access_key_id = ID\naws_secret_access_key = SECRET\n');
    const files = { AWS_CONFIG_FILE: at('config'), AWS_SHARED_CREDENTIALS_FILE: at('credentials') };
    const place = (env: Record<string, string>) => placeOf('s3://bucket/a dir/x+y.root', { ...files, ...env });
    expect(place({}).url.href).toBe('https://bucket.s3.eu-central-1.amazonaws.com/a%20dir/x%2By.root');
    expect(place({}).sign).toBeUndefined();
    expect(place({ AWS_PROFILE: 'cms' }).url.href).toBe('https://s3.cern.example/bucket/a%20dir/x%2By.root');
    const headers = place({ AWS_PROFILE: 'cms' }).sign!({ method: 'GET', url: new URL('https://h/x'), headers: {} });
    expect(headers.Authorization).toMatch(/Credential=ID\/\d{8}\/cern\/s3\//);
    expect(place({ AWS_ENDPOINT_URL: 'http://h:1', AWS_ENDPOINT_URL_S3: 'http://h:2' }).url.host).toBe('h:2');
    expect(() => place({ AWS_PROFILE: 'none' })).toThrow(/no profile is called "none"/);
    expect(() => placeOf('s3://bucket', {})).toThrow(/no name of an object/);
  });
});

test('secrets in URLs are left out, wherever in a text they stand', () => {
  const text = 'cannot read https://me:pw@h/a?x=1&authz=Bearer%20abc&y=2 (from root://h//b?xrd.wantprot=ztn)';
  expect(withoutSecrets(text)).toBe(
    'cannot read https://me:...@h/a?x=1&authz=...&y=2 (from root://h//b?xrd.wantprot=...)',
  );
  expect(withoutSecrets('no URL: a?token=1')).toBe('no URL: a?token=1');
});
