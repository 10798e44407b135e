// Measures reading over http from a real XRootD on loopback: bytes that travel for four columns, wall time against uproot on the same
// URLs with a round trip of 20 ms, and a whole file against a plain stream. Prints JSON; figures belong into the note with the load.
//   node --no-warnings test/bench/remote.ts FOLDER_OF_ROOT_FILES [COLUMNS] [REPEATS]      needs dist/ and test/rigs/venv.sh
import { spawn, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../src/bytes/open.ts';
import { serveFile, startXrootd, stopXrootd } from '../rigs/xrootd.ts';

const TOP = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const ROUND_TRIP_MS = 20;
const WHOLE_BYTES = 200_000_000;

const [folder, columns = 'Jet_pt,Jet_eta,Jet_phi,MET_pt', repeats = '3'] = process.argv.slice(2);
const times = Array.from({ length: Number(repeats) });
const names = readdirSync(folder!).filter((name) => name.endsWith('.root'));
const python = spawnSync(join(TOP, 'test/rigs/venv.sh'), { encoding: 'utf8' }).stdout.trim();
const tell = (what: string, figures: object) =>
  process.stdout.write(`${JSON.stringify({ what, load: loadavg()[0]!.toFixed(1), ...figures })}\n`);

const rig = await startXrootd('anonymous');
try {
  for (const name of names) serveFile(rig, join(folder!, name), name);
  const { port, stop } = await ownProxy(Number(new URL(rig.urls.http).port));
  try {
    for (const [where, base] of [
      ['loopback', rig.urls.http],
      [`${ROUND_TRIP_MS} ms`, `http://127.0.0.1:${port}`],
    ] as const) {
      const urls = names.map((name) => `${base}/store/${name}`);
      tell(`uproot, ${where}`, { runs: times.map(() => uproot(urls)) });
      tell(`colweave join, ${where}`, { runs: times.map(() => colweave(urls)) });
    }
  } finally {
    stop();
  }
  await wholeFile();
} finally {
  stopXrootd(rig.dir);
}

async function ownProxy(target: number): Promise<{ port: number; stop: () => void }> {
  const words = ['--no-warnings', join(TOP, 'test/rigs/delay-proxy.ts'), String(target), String(ROUND_TRIP_MS)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) => {
    child.stdout.once('data', (text) => resolve(Number(String(text))));
  });
  return { port, stop: () => child.kill() };
}

/** Seconds of the process, those of reading alone, and the compressed bytes of the columns and their counters. */
function uproot(urls: readonly string[]): object {
  const start = performance.now();
  const { stdout, stderr } = spawnSync(python, [join(TOP, 'test/bench/remote_uproot.py'), columns, ...urls], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return { seconds: since(start), ...(JSON.parse(stdout) as object) };
}

function colweave(urls: readonly string[]): object {
  const start = performance.now();
  const words = [
    'join',
    ...urls,
    '-c',
    columns,
    '-f',
    '--redo',
    '--json',
    '--stats',
    '-o',
    join(rig.dir, 'out.parquet'),
  ];
  const { stdout, status } = spawnSync(process.execPath, ['--no-warnings', join(TOP, 'dist/colweave.js'), ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = since(start);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; servers?: object[] });
  return { seconds, status, ...lines.find(({ type }) => type === 'stats')!.servers![0] };
}

async function wholeFile(): Promise<void> {
  const path = join(rig.dir, 'whole.bin');
  writeFileSync(path, randomFillSync(Buffer.allocUnsafe(WHOLE_BYTES)));
  serveFile(rig, path, 'whole.bin');
  const url = `${rig.urls.http}/store/whole.bin`;
  const ours: number[] = [];
  const theirs: number[] = [];
  for (const _ of times) {
    let start = performance.now();
    const store = await openStore(url);
    await store.read([{ offset: 0, length: WHOLE_BYTES }]);
    ours.push(since(start));
    await store.close();
    start = performance.now();
    let bytes = 0;
    for await (const chunk of (await fetch(url)).body!) bytes += chunk.length;
    if (bytes !== WHOLE_BYTES) throw new Error(`fetch read ${bytes}`);
    theirs.push(since(start));
  }
  tell('200 MB whole, loopback', { ours, fetchStream: theirs, ratio: Math.min(...theirs) / Math.min(...ours) });
}

function since(start: number): number {
  return Math.round(performance.now() - start) / 1000;
}
