// The cache as a group uses it: many processes and two users on one directory, a server whose bytes are counted and which is
// then stopped, over http, root:// and s3://; and jobs killed at any moment.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from './counting-server.ts';
import { startDelayProxy } from './delay-proxy.ts';
import { describeRig, ended, type Ran, runLater, TOP } from './harness.ts';
import { missingForS3, startS3, stopS3 } from './s3.ts';
import { missingForXrootd, serveFile, startXrootd, stopXrootd } from './xrootd.ts';

const FILE = 'nano.root';
const PROCESSES = 8;
const KILLS = 50;
/** Columns travel once, with gaps between baskets that are cheaper to read than to leave out. */
const SLACK = 1.05;

const EVENTS = 40_000;

/** The Python that makes the data; absent = the rig is skipped. */
const python = spawnSync(join(TOP, 'test', 'rigs', 'venv.sh'), ['--where'], { encoding: 'utf8' }).stdout.trim();
const it = test.skipIf(!existsSync(python) && !process.env.CI);

/** Serves the folder of data until it is closed. */
interface Served {
  readonly url: string;
  /** For clients. */
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes that it sent since the last call. */
  taken(): { readonly bytes: number };
  close(): Promise<void>;
}

type Serve = (delayMs?: number) => Promise<Served>;

let root = '';
let server: Served | undefined;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'colweave-cache-rig-'));
  chmodSync(root, 0o755);
  mkdirSync(join(root, 'data'));
  const words = [join(TOP, 'test', 'rigs', 'make_cached.py'), join(root, 'data', FILE), `${EVENTS}`];
  const { status, stderr } = spawnSync(python, words, { encoding: 'utf8' });
  if (existsSync(python)) expect(status, stderr).toBe(0);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const serveHttp: Serve = (delayMs) => startCountingServer(join(root, 'data'), delayMs);

/** Counts what a real server sends, protocol and all. */
async function counted(port: number, delayMs: number, stop: () => unknown) {
  const proxy = await startDelayProxy(port, delayMs);
  let before = 0;
  return {
    port: proxy.port,
    taken() {
      const bytes = proxy.received() - before;
      before += bytes;
      return { bytes };
    },
    async close() {
      proxy.close();
      await stop();
    },
  };
}

const serveRoot: Serve = async (delayMs = 0) => {
  const rig = await startXrootd('anonymous');
  serveFile(rig, join(root, 'data', FILE), FILE);
  const port = Number(new URL(rig.urls.http).port);
  const front = await counted(port, delayMs, () => stopXrootd(rig.dir));
  return { ...front, url: `root://localhost:${front.port}//store` };
};

const serveS3: Serve = async (delayMs = 0) => {
  const rig = await startS3();
  copyFileSync(join(root, 'data', FILE), join(rig.store, FILE));
  const front = await counted(Number(new URL(rig.endpoint).port), delayMs, () => stopS3(rig.dir));
  const env = { ...rig.env, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${front.port}` };
  return { ...front, env, url: `s3://${rig.bucket}` };
};

let serial = 0;
function newFolder(name: string): string {
  const path = join(root, `${name}${serial++}`);
  mkdirSync(path);
  return path;
}

function fetchColumns(
  columns: string,
  {
    cache,
    output,
    words = [],
  }: { readonly cache: string; readonly output: string; readonly words?: readonly string[] },
  {
    killAfterMs,
    uid,
    at: { url, env } = server!,
  }: { killAfterMs?: number; uid?: number; at?: Pick<Served, 'url' | 'env'> } = {},
): Promise<Ran> {
  const argv = [
    join(TOP, 'bin', 'colweave.js'),
    'fetch',
    `${url}/${FILE}`,
    '-c',
    columns,
    '-j',
    '1',
    '-o',
    output,
    '--cache',
    cache,
    ...words,
  ];
  const user = uid === undefined ? {} : { uid, gid: GROUP };
  // HOME of root is closed to others
  const child = spawn(process.execPath, argv, {
    ...user,
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: { PATH: process.env.PATH, HOME: root, TMPDIR: root, ...env },
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return ended(child).finally(() => clearTimeout(timer));
}

async function fetched(...asked: Parameters<typeof fetchColumns>): Promise<Ran> {
  const ran = await fetchColumns(...asked);
  expect(ran, ran.stderr).toMatchObject({ status: 0 });
  return ran;
}

const GROUP = 20_000;
const USERS = [20_001, 20_002] as const;

/** What a group sets up: chgrp, chmod 2770. */
function sharedFolder(): string {
  const path = newFolder('shared');
  if (process.getuid?.() === 0) chownSync(path, 0, GROUP);
  chmodSync(path, 0o2770);
  return path;
}

const entriesIn = (cache: string): string[] =>
  readdirSync(join(cache, 'columns'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.col'));

/** How often each entry was added, by the logs of all jobs. */
function additions(cache: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of readdirSync(join(cache, 'jobs'))) {
    for (const line of readFileSync(join(cache, 'jobs', name), 'utf8').split('\n')) {
      const [word, entry] = line.split(' ');
      if (word === 'add') counts.set(entry!, (counts.get(entry!) ?? 0) + 1);
    }
  }
  return counts;
}

function check(cache: string): Promise<Ran> {
  return runLater(process.execPath, [join(TOP, 'bin', 'colweave.js'), 'fetch', '--cache-check', '--cache', cache]);
}

const COLLECTIONS = ['Jet_*', 'Muon_*', 'Electron_*', 'Tau_*', 'Photon_*', 'MET_*', 'GenPart_*', 'FatJet_*'];

for (const [scheme, missing, serve] of [
  ['http', undefined, serveHttp],
  ['root', missingForXrootd(), serveRoot],
  ['s3', missingForS3(), serveS3],
] as const) {
  describeRig(`${scheme}://`, missing, () => {
    it('many processes at once: each column travels once', async () => {
      server = await serve(5);
      // what one process needs for all of it, and for the metadata alone
      const alone = newFolder('alone');
      await fetched(COLLECTIONS.join(), { cache: alone, output: `${scheme}-alone.parquet` });
      const all = server.taken();
      await fetched(COLLECTIONS.join(), { cache: alone, output: `${scheme}-again.parquet` });
      const metadata = server.taken();
      const cache = newFolder('cache');
      const sets = Array.from({ length: PROCESSES }, (_, i) =>
        [0, 1, 2, 3].map((k) => COLLECTIONS[(i + k) % COLLECTIONS.length]).join(),
      );
      await Promise.all(sets.map((columns, i) => fetched(columns, { cache, output: `${scheme}-part${i}.parquet` })));
      const together = server.taken();
      const payload = all.bytes - metadata.bytes;
      const travelled = together.bytes - PROCESSES * metadata.bytes;
      console.info(`${scheme}: payload ${payload} B, travelled for ${PROCESSES} processes ${travelled} B`);
      expect(payload).toBeGreaterThan(100_000);
      expect(travelled).toBeLessThanOrEqual(payload * SLACK);
      expect(new Set(additions(cache).values())).toEqual(new Set([1]));
      expect(entriesIn(cache)).toHaveLength(entriesIn(alone).length);
      expect((await check(cache)).status).toBe(0);
    });

    it('a second user with other columns: what both name is there, only the difference travels', async ({ skip }) => {
      if (process.getuid?.() !== 0) return skip('two users need root');
      server = await serve();
      const cache = sharedFolder();
      const outputs = USERS.map((uid) => {
        const folder = newFolder('home');
        chownSync(folder, uid, GROUP);
        return folder;
      });
      await fetched('Jet_pt,Jet_eta,MET_pt', { cache, output: join(outputs[0]!, 'a.parquet') }, { uid: USERS[0] });
      server.taken();
      const second = await fetched(
        'Jet_pt,MET_pt',
        { cache, output: join(outputs[1]!, 'b.parquet') },
        { uid: USERS[1] },
      );
      const metadata = server.taken().bytes;
      // run, luminosityBlock, event, and what was asked for
      expect(second.stdout).toMatch(/^cache: 5 columns were there, 0 fetched$/m);
      const third = await fetched('Jet_*,MET_pt', { cache, output: join(outputs[1]!, 'c.parquet') }, { uid: USERS[1] });
      const superset = server.taken().bytes - metadata;
      expect(third.stdout).toMatch(/^cache: 6 columns were there, 3 fetched/m);
      const alone = newFolder('alone');
      await fetched('Jet_*,!Jet_pt,!Jet_eta', { cache: alone, output: `${scheme}-difference.parquet` });
      const difference = server.taken().bytes - metadata; // the keys among it
      console.info(`${scheme}: superset ${superset} B, the difference alone ${difference} B`);
      expect(superset).toBeLessThanOrEqual(difference);
      expect(superset).toBeGreaterThan(0);
    });

    it('works with the server stopped, and says so', async () => {
      server = await serve();
      const cache = newFolder('cache');
      const at = server;
      await fetched('Jet_pt,MET_pt', { cache, output: `${scheme}-on.parquet` });
      await server.close();
      server = undefined;
      const off = await fetched('MET_pt,Jet_pt', { cache, output: `${scheme}-off.parquet` }, { at });
      expect(off.stderr).toContain('no server was asked for 1 file');
      const asked = await fetched(
        'Jet_pt,MET_pt',
        { cache, output: `${scheme}-offline.parquet`, words: ['--offline'] },
        { at },
      );
      expect(asked.stderr).toContain('no server was asked for 1 file');
      expect(readFileSync(join(root, `${scheme}-offline.parquet`))).toEqual(
        readFileSync(join(root, `${scheme}-on.parquet`)),
      );
      const missing = await fetchColumns(
        'Jet_phi',
        { cache, output: `${scheme}-missing.parquet`, words: ['--offline'] },
        { at },
      );
      expect(missing.status).toBe(75);
      expect(missing.stderr).toContain('cache/offline-miss');
    });
  });
}

it('finds a flipped byte in an entry, and fetches that column again', async () => {
  server = await serveHttp();
  const cache = newFolder('cache');
  await fetched('Jet_pt,MET_pt', { cache, output: 'whole.parquet' });
  for (const name of entriesIn(cache)) {
    const path = join(cache, 'columns', name);
    const bytes = readFileSync(path);
    const at = bytes.length >> 2;
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, Uint8Array.of(bytes[at]! ^ 1), 0, 1, at);
    closeSync(descriptor);
    const again = await fetched('Jet_pt,MET_pt', { cache, output: 'repaired.parquet', words: ['--redo'] });
    expect(again.stderr).toContain('warning: cache/damaged: 1 entry was damaged');
    expect(again.stdout).toMatch(/^cache: 4 columns were there, 1 fetched/m);
    expect(readFileSync(join(root, 'repaired.parquet'))).toEqual(readFileSync(join(root, 'whole.parquet')));
  }
});

it(`killed at ${KILLS} moments: no partial entry, and the next one goes on`, { timeout: 600_000 }, async () => {
  server = await serveHttp(3);
  const reference = newFolder('reference');
  const start = Date.now();
  await fetched('*', { cache: reference, output: 'reference.parquet' });
  const wholeMs = Date.now() - start;
  let cache = newFolder('cache');
  let killed = 0;
  let kept = 0;
  for (let i = 0; killed < KILLS && i < 4 * KILLS; i++) {
    const killAfterMs = 50 + Math.random() * wholeMs * 0.9;
    const { status } = await fetchColumns('*', { cache, output: `killed${i}.parquet` }, { killAfterMs });
    if (status === null) killed++;
    // killed after it was published, it is whole
    const output = join(root, `killed${i}.parquet`);
    if (status === 0) expect(existsSync(output)).toBe(true);
    if (existsSync(output))
      expect(readFileSync(output), `killed after ${killAfterMs} ms`).toEqual(
        readFileSync(join(root, 'reference.parquet')),
      );
    if (!existsSync(join(cache, 'columns'))) continue; // killed before it began
    const seen = await check(cache);
    expect(seen, `killed after ${killAfterMs} ms: ${seen.stdout}`).toMatchObject({ status: 0 });
    kept += entriesIn(cache).length;
    if (i % 5 === 4) {
      await fetched('*', { cache, output: `after${i}.parquet` });
      expect(readFileSync(join(root, `after${i}.parquet`))).toEqual(readFileSync(join(root, 'reference.parquet')));
      expect(entriesIn(cache)).toHaveLength(entriesIn(reference).length);
      cache = newFolder('cache');
    }
  }
  console.info(`${killed} killed, ${kept} entries found whole, none damaged; a whole fetch takes ${wholeMs} ms`);
  expect(killed).toBe(KILLS);
});
