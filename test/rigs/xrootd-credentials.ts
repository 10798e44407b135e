// Owns what a grid site and its users hold, made afresh for a rig: a CA, host and user certificates, VOMS proxies, WLCG tokens.
import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface Credentials {
  readonly certDir: string;
  readonly caFile: string;
  readonly host: { readonly cert: string; readonly key: string };
  /** A file with CA, DN of the host: what `X509_VOMS_DIR` wants. */
  readonly vomsDir: string;
  readonly userCert: string;
  readonly userKey: string;
  /** Of the VO cms: accepted. */
  readonly proxy: string;
  /** Of no VO: a good proxy that may not read. */
  readonly proxyNoVo: string;
  readonly proxyExpired: string;
  readonly token: string;
  readonly tokenExpired: string;
  /** Good, but of a path that holds no file. */
  readonly tokenElsewhere: string;
  /** Signed by somebody else. */
  readonly tokenForged: string;
}

const ISSUER = 'https://localhost:12999/';
const AUDIENCE = 'https://wlcg.cern.ch/jwt/v1/any';
const CA = '/DC=org/DC=colweave/CN=Rig CA';
const USER = '/DC=org/DC=colweave/CN=Some User';
const HOST = '/DC=org/DC=colweave/CN=localhost';

/** Makes everything below `dir`, in about two seconds. */
export function makeCredentials(dir: string): Credentials {
  mkdirSync(dir, { recursive: true });
  const at = (name: string) => join(dir, name);
  const { certDir, caFile } = makeAuthority(dir);
  certify(dir, 'host', HOST, 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth');
  certify(dir, 'user', USER, 'keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth');
  const vomsDir = at('vomsdir');
  mkdirSync(join(vomsDir, 'cms'), { recursive: true });
  writeFileSync(join(vomsDir, 'cms', 'localhost.lsc'), `${HOST}\n${CA}\n`);
  // voms-proxy-fake wants random bytes of OpenSSL's old kind in its home
  writeFileSync(at('.rnd'), randomBytes(1024));
  makeProxy(dir, { name: 'x509up', vo: true });
  makeProxy(dir, { name: 'x509up-no-vo', vo: false });
  makeExpiredProxy(dir);
  return {
    certDir,
    caFile,
    host: { cert: at('host.pem'), key: at('host.key') },
    vomsDir,
    userCert: at('user.pem'),
    userKey: at('user.key'),
    proxy: at('x509up'),
    proxyNoVo: at('x509up-no-vo'),
    proxyExpired: at('x509up-expired'),
    ...makeTokens(dir),
  };
}

function makeAuthority(dir: string): { certDir: string; caFile: string } {
  const certDir = join(dir, 'certs');
  const caFile = join(dir, 'ca.pem');
  const extensions = [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ];
  openssl([
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    CA,
    ...extensions,
    '-keyout',
    join(dir, 'ca.key'),
    '-out',
    caFile,
  ]);
  const hash = openssl(['x509', '-in', caFile, '-noout', '-hash']).trim();
  mkdirSync(certDir);
  copyFileSync(caFile, join(certDir, `${hash}.0`));
  writeFileSync(
    join(certDir, `${hash}.signing_policy`),
    `access_id_CA X509 '${CA}'\npos_rights globus CA:sign\ncond_subjects globus '"/DC=org/DC=colweave/*"'\n`,
  );
  return { certDir, caFile };
}

function certify(dir: string, name: string, subject: string, extensions: string): void {
  const at = (end: string) => join(dir, `${name}.${end}`);
  writeFileSync(at('ext'), `${extensions}\n`);
  openssl(['req', '-newkey', 'rsa:2048', '-nodes', '-subj', subject, '-keyout', at('key'), '-out', at('csr')]);
  openssl([
    'x509',
    '-req',
    '-in',
    at('csr'),
    '-CA',
    join(dir, 'ca.pem'),
    '-CAkey',
    join(dir, 'ca.key'),
    '-CAcreateserial',
    '-days',
    '20',
    '-extfile',
    at('ext'),
    '-out',
    at('pem'),
  ]);
  chmodSync(at('key'), 0o600);
}

/** A proxy as VOMS would give it, without a VOMS server. */
function makeProxy(dir: string, { name, vo }: { name: string; vo: boolean }): void {
  const at = (file: string) => join(dir, file);
  const host = ['-hostcert', at('host.pem'), '-hostkey', at('host.key'), '-uri', 'localhost:15002'];
  const cms = ['-voms', 'cms', '-fqan', '/cms/Role=NULL/Capability=NULL'];
  const none = ['-voms', 'elsewhere', '-fqan', '/elsewhere/Role=NULL/Capability=NULL'];
  run(
    'voms-proxy-fake',
    [
      '-cert',
      at('user.pem'),
      '-key',
      at('user.key'),
      '-certdir',
      at('certs'),
      ...host,
      ...(vo ? cms : none),
      '-rfc',
      '-hours',
      '12',
      '-out',
      at(name),
    ],
    { HOME: dir },
  );
  chmodSync(at(name), 0o600);
}

/** Ended yesterday: a certificate signed by the user's, with its key behind it, as in every proxy file. */
function makeExpiredProxy(dir: string): void {
  const at = (file: string) => join(dir, file);
  writeFileSync(
    at('expired.cnf'),
    '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index.txt\nserial=serial.txt\ndefault_md=sha256\npolicy=p\n[p]\ndomainComponent=optional\ncommonName=optional\n',
  );
  writeFileSync(at('index.txt'), '');
  writeFileSync(at('index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(at('serial.txt'), '1001\n');
  writeFileSync(
    at('proxy.ext'),
    'proxyCertInfo=critical,language:id-ppl-inheritAll\nkeyUsage=critical,digitalSignature,keyEncipherment\n',
  );
  openssl([
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `${USER}/CN=4711`,
    '-keyout',
    at('expired.key'),
    '-out',
    at('expired.csr'),
  ]);
  const past = (days: number) =>
    `${new Date(Date.now() - days * 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  openssl(
    [
      'ca',
      '-batch',
      '-notext',
      '-preserveDN',
      '-config',
      'expired.cnf',
      '-cert',
      'user.pem',
      '-keyfile',
      'user.key',
      '-extfile',
      'proxy.ext',
      '-startdate',
      past(2),
      '-enddate',
      past(1),
      '-in',
      'expired.csr',
      '-out',
      'expired.pem',
    ],
    dir,
  );
  writeFileSync(
    at('x509up-expired'),
    ['expired.pem', 'expired.key', 'user.pem'].map((file) => readFileSync(at(file), 'utf8')).join(''),
    { mode: 0o600 },
  );
}

function makeTokens(dir: string): Pick<Credentials, 'token' | 'tokenExpired' | 'tokenElsewhere' | 'tokenForged'> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  writeKeyCache(join(dir, 'cache'), { ...publicKey.export({ format: 'jwk' }), kid: 'rig', use: 'sig', alg: 'ES256' });
  const write = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  };
  const pem = (key: typeof privateKey) => key.export({ format: 'pem', type: 'pkcs8' }).toString();
  const read = 'storage.read:/store storage.modify:/store';
  return {
    token: write('token', makeToken(pem(privateKey), { scope: read, seconds: 43_200 })),
    tokenExpired: write('token-expired', makeToken(pem(privateKey), { scope: read, seconds: -600 })),
    tokenElsewhere: write(
      'token-elsewhere',
      makeToken(pem(privateKey), { scope: 'storage.read:/elsewhere', seconds: 43_200 }),
    ),
    tokenForged: write('token-forged', makeToken(pem(other), { scope: read, seconds: 43_200 })),
  };
}

function makeToken(pem: string, { scope, seconds }: { scope: string; seconds: number }): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    'wlcg.ver': '1.0',
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'someone',
    scope,
    jti: randomBytes(8).toString('hex'),
    nbf: now - 3600,
    iat: now - 3600,
    exp: now + seconds,
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ typ: 'JWT', alg: 'ES256', kid: 'rig' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key: createPrivateKey(pem), dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

/** The server asks the issuer for its keys over https; there is none, so they lie where it keeps what it was told. */
function writeKeyCache(dir: string, key: object): void {
  mkdirSync(join(dir, 'scitokens'), { recursive: true });
  const database = new DatabaseSync(join(dir, 'scitokens', 'scitokens_cpp.sqllite'));
  const later = Math.floor(Date.now() / 1000) + 30 * 86_400;
  database.exec('CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)');
  const keys = JSON.stringify({ jwks: { keys: [key] }, expires: later, next_update: later });
  database.prepare('INSERT INTO keycache VALUES (?, ?)').run(ISSUER, keys);
  database.close();
}

/** For the server's configuration: whose tokens are good. */
export const SCITOKENS_CFG = `[Global]\naudience = ${AUDIENCE}\n[Issuer rig]\nissuer = ${ISSUER}\nbase_path = /\n`;

function openssl(words: readonly string[], cwd?: string): string {
  return run('openssl', words, {}, cwd);
}

function run(command: string, words: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    cwd,
  });
  if (status !== 0) throw new Error(`${command} ${words[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}
