// Owns starting and stopping real XRootD servers on loopback: anonymous, behind a redirector, with TLS + proxies + tokens, with proxies alone.
//   node test/rigs/xrootd.ts start FLAVOUR [DIR]    prints one JSON object: dir, urls, env, credentials, pids
//   node test/rigs/xrootd.ts stop DIR               ends the servers of that start and removes DIR
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CANNOT } from './server-process.ts';
import { type Credentials, makeCredentials, SCITOKENS_CFG } from './xrootd-credentials.ts';

/** secure: TLS, gsi and ztn on offer, https with proxy or token. gsi: proxies alone, no TLS on root://, as at many a site. */
export const FLAVOURS = ['anonymous', 'redirector', 'secure', 'gsi'] as const;
export type Flavour = (typeof FLAVOURS)[number];

export interface XrootdRig {
  readonly flavour: Flavour;
  readonly dir: string;
  /** What is served as /store: files put here can be read at once. */
  readonly store: string;
  /** Ready for a name such as /store/x.root behind them; `data` is the server behind the redirector. */
  readonly urls: { readonly root: string; readonly http: string; readonly data: string };
  /** For clients: where the CA is, and credentials that are accepted. */
  readonly env: Readonly<Record<string, string>>;
  readonly credentials?: Credentials;
  readonly pids: readonly number[];
  readonly logs: readonly string[];
}

const PACKAGES =
  'xrootd-server xrootd-server-plugins xrootd-client xrootd-client-plugins xrootd-plugins xrootd-scitokens-plugins xrootd-voms-plugins voms-clients openssl gcc libc6-dev curl';
const START_SECONDS_MAX = 10;

/** What is missing here to start a server, after trying to install it where that is possible; undefined = nothing. */
export function missingForXrootd(): string | undefined {
  const absent = () =>
    ['xrootd', 'xrdcp', 'voms-proxy-fake', 'openssl', 'gcc', 'curl'].filter(
      (name) => spawnSync('which', [name]).status !== 0,
    );
  if (absent().length === 0) return undefined;
  if (process.getuid?.() !== 0 || spawnSync('which', ['apt-get']).status !== 0)
    return `${CANNOT}${absent().join(', ')} (no apt-get, or not root)`;
  const apt = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=900', '-y'];
  const stdio = ['ignore', 2, 2] as ('ignore' | number)[];
  spawnSync(apt[0]!, [...apt.slice(1), 'update'], { stdio: stdio as never });
  spawnSync(apt[0]!, [...apt.slice(1), '--no-install-recommends', 'install', ...PACKAGES.split(' ')], {
    stdio: stdio as never,
  });
  return absent().length === 0 ? undefined : `${CANNOT}${absent().join(', ')} (apt-get failed)`;
}

/** Starts a server, or two, in a directory of their own. Throws with the end of the log when one does not come up. */
export async function startXrootd(
  flavour: Flavour,
  dir = mkdtempSync(join(tmpdir(), 'colweave-xrootd-')),
): Promise<XrootdRig> {
  const missing = missingForXrootd();
  if (missing) throw new Error(`no XRootD: ${missing}`);
  mkdirSync(dir, { recursive: true });
  // made for the caller alone by mkdtemp; the servers run as another user
  chmodSync(dir, 0o755);
  const shim = join(dir, 'bind-loopback.so');
  execute('gcc', [
    '-shared',
    '-fPIC',
    '-O1',
    '-o',
    shim,
    join(dirname(fileURLToPath(import.meta.url)), 'bind-loopback.c'),
    '-ldl',
  ]);
  const store = join(dir, 'root', 'store');
  mkdirSync(store, { recursive: true });
  const secured = flavour === 'secure' || flavour === 'gsi';
  const credentials = secured ? makeCredentials(join(dir, 'credentials')) : undefined;
  const started: Server[] = [];
  const pidsFile = join(dir, 'pids.json');
  const add = async (name: string, lines: readonly string[], port: number) => {
    const server = launch(dir, { name, lines, port, shim, ...(credentials ? { credentials } : {}) });
    started.push(server);
    writeFileSync(pidsFile, JSON.stringify(started.map(({ pid }) => pid)));
    await answering(server, port);
  };
  try {
    const port = await freePort();
    await add('data', [...(credentials ? securityLines(dir, flavour, credentials) : ['http.listingdeny no'])], port);
    let front = port;
    if (flavour === 'redirector') {
      front = await freePort();
      await add('front', [`xrootd.redirect 127.0.0.1:${port} /store`], front);
    }
    return {
      flavour,
      dir,
      store,
      urls: {
        root: `root://localhost:${front}/`,
        http: `${secured ? 'https' : 'http'}://localhost:${front}`,
        data: `root://localhost:${port}/`,
      },
      env: credentials ? clientEnv(flavour, credentials) : {},
      ...(credentials ? { credentials } : {}),
      pids: started.map(({ pid }) => pid),
      logs: started.map(({ log }) => log),
    };
  } catch (cause) {
    await stopXrootd(dir);
    throw cause;
  }
}

/** Ends the servers that were started in `dir`, and removes it. */
export async function stopXrootd(dir: string): Promise<void> {
  const pids = existsSync(join(dir, 'pids.json'))
    ? (JSON.parse(readFileSync(join(dir, 'pids.json'), 'utf8')) as number[])
    : [];
  const ours = pids.filter((pid) => commandOf(pid).includes(dir));
  for (const pid of ours) process.kill(pid, 'SIGKILL');
  for (let tries = 0; tries < 100 && ours.some((pid) => commandOf(pid).includes(dir)); tries++) await sleep(20);
  rmSync(dir, { recursive: true, force: true });
}

/** Serves a copy as /store/NAME, which the server may mark with sums: it is a file of its user. */
export function serveFile(rig: XrootdRig, path: string, name: string): string {
  const target = join(rig.store, name);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(path, target, constants.COPYFILE_FICLONE);
  if (process.getuid?.() === 0) execute('chown', ['xrootd:', target]);
  return `/store/${name}`;
}

interface Server {
  readonly pid: number;
  readonly log: string;
}

interface Launch {
  readonly name: string;
  readonly lines: readonly string[];
  readonly port: number;
  readonly shim: string;
  readonly credentials?: Credentials;
}

function launch(dir: string, { name, lines, port, shim, credentials }: Launch): Server {
  const here = join(dir, name);
  for (const below of ['adm', 'run']) mkdirSync(join(here, below), { recursive: true });
  const config = join(here, 'server.cfg');
  const log = join(here, 'server.log');
  const common = [
    `xrd.port ${port}`,
    'all.export /store',
    `oss.localroot ${join(dir, 'root')}`,
    `all.adminpath ${join(here, 'adm')}`,
    `all.pidpath ${join(here, 'run')}`,
    `xrd.protocol http:${port} libXrdHttp.so`,
    'xrootd.chksum max 2 adler32 crc32c',
  ];
  writeFileSync(config, `${[...common, ...lines].join('\n')}\n`);
  const root = process.getuid?.() === 0;
  // the server gives root up, and will not run with it
  if (root)
    execute('chown', ['-R', 'xrootd:', here, join(dir, 'root'), ...(credentials ? [join(dir, 'credentials')] : [])]);
  if (root && credentials) keepForClient(credentials);
  const output = openSync(`${log}.start`, 'w');
  const env = {
    ...process.env,
    LD_PRELOAD: shim,
    ...(credentials
      ? {
          X509_VOMS_DIR: credentials.vomsDir,
          X509_CERT_DIR: credentials.certDir,
          XDG_CACHE_HOME: join(dir, 'credentials', 'cache'),
        }
      : {}),
  };
  const words = [...(root ? ['-R', 'xrootd'] : []), '-c', config, '-l', log, '-I', 'v4'];
  const child = spawn('xrootd', words, { cwd: here, env, stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  child.unref();
  if (child.pid === undefined) throw new Error('xrootd cannot be started');
  return { pid: child.pid, log };
}

/** Tools refuse keys of another user: what users hold stays theirs. */
function keepForClient({
  proxy,
  proxyNoVo,
  proxyExpired,
  token,
  tokenElsewhere,
  tokenExpired,
  tokenForged,
  userKey,
}: Credentials): void {
  for (const path of [proxy, proxyNoVo, proxyExpired, token, tokenElsewhere, tokenExpired, tokenForged, userKey]) {
    chownSync(path, process.getuid!(), process.getgid!());
  }
}

function securityLines(dir: string, flavour: Flavour, { certDir, host }: Credentials): string[] {
  const scitokens = join(dir, 'scitokens.cfg');
  const authdb = join(dir, 'authdb');
  writeFileSync(scitokens, SCITOKENS_CFG);
  writeFileSync(authdb, 'o cms /store a\n');
  const gsi = `sec.protocol gsi -certdir:${certDir} -cert:${host.cert} -key:${host.key} -gridmap:none -gmapopt:10 -crl:0 -vomsat:1 -vomsfun:libXrdVoms.so`;
  const tls = [`xrd.tls ${host.cert} ${host.key}`, `xrd.tlsca certdir ${certDir}`];
  return [
    ...tls,
    ...(flavour === 'secure' ? ['xrootd.tls capable all'] : []),
    'xrootd.seclib libXrdSec.so',
    gsi,
    ...(flavour === 'secure' ? ['sec.protocol ztn', 'sec.protbind * gsi ztn'] : ['sec.protbind * gsi']),
    'http.header2cgi Authorization authz',
    'http.secxtractor libXrdVoms.so',
    'ofs.authorize 1',
    `ofs.authlib ++ libXrdAccSciTokens.so config=${scitokens}`,
    `acc.authdb ${authdb}`,
  ];
}

function clientEnv(flavour: Flavour, { certDir, proxy, token, vomsDir }: Credentials): Record<string, string> {
  const both = { X509_CERT_DIR: certDir, X509_USER_PROXY: proxy, X509_VOMS_DIR: vomsDir };
  return flavour === 'secure' ? { ...both, BEARER_TOKEN_FILE: token } : both;
}

/** Until the port takes connections; the server's own words when it never does. */
async function answering({ pid, log }: Server, port: number): Promise<void> {
  const end = Date.now() + START_SECONDS_MAX * 1000;
  while (Date.now() < end) {
    if (await connects(port)) return;
    if (commandOf(pid) === '') break;
    await sleep(20);
  }
  const said = [`${log}.start`, log]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'))
    .join('');
  throw new Error(`xrootd does not answer on port ${port}:\n${said.slice(-3000)}`);
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Empty for a process that is gone or waits to be collected. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function execute(command: string, words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [verb, word, dir] = process.argv.slice(2);
  if (verb === 'start' && FLAVOURS.includes(word as Flavour)) {
    process.stdout.write(`${JSON.stringify(await startXrootd(word as Flavour, dir))}\n`);
  } else if (verb === 'stop' && word) {
    await stopXrootd(word);
  } else {
    process.stderr.write(`usage: xrootd.ts start ${FLAVOURS.join('|')} [DIR] | stop DIR\n`);
    process.exitCode = 2;
  }
}
