// Measures reading over root:// against the C++ client and uproot, on the real server, in one run:
//   node test/bench/remote-root-run.ts DATA [ROUNDS]      DATA holds primary-zstd/ and friend-aligned/ of make_data.py
// 200 MB as a whole; 400 x 32 KiB; 2000 x 4 KiB; 4 of 66 columns with and without 20 ms of delay. One line of JSON a case.
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDelayProxy } from '../rigs/delay-proxy.ts';
import { rigPython, TOP } from '../rigs/harness.ts';
import { serveFile, startXrootd, stopXrootd, type XrootdRig } from '../rigs/xrootd.ts';

const WHOLE_BYTES = 200_000_000;
const COLUMNS = 'Jet_pt,MET_pt,dnn_score,Jet_unc_total';
const FOLDERS = ['primary-zstd', 'friend-aligned'];
const DELAY_MS = 20;

interface Result {
  readonly what: string;
  readonly seconds: number | readonly number[];
  readonly sum?: string;
  readonly checksum?: number;
  readonly needed?: number;
  readonly traffic?: readonly (readonly [string, { readonly bytesTravelled: number; readonly requests: number }])[];
}

const python = rigPython('xrootd');

/** Asynchronous servers of this process must go on meanwhile: the delay proxy runs by itself. */
function child(command: string, words: readonly string[]): Result {
  const { stdout, stderr, status } = spawnSync(command, words, { cwd: TOP, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${words[0]} failed: ${stderr}`);
  return JSON.parse(stdout) as Result;
}

const ours = (script: string, words: readonly string[]) =>
  child(process.execPath, ['--no-warnings', join('test/bench', script), ...words]);
const theirs = (script: string, words: readonly string[]) => child(python.path, [join('test/bench', script), ...words]);

const secondsOf = ({ seconds }: Result): number => (typeof seconds === 'number' ? seconds : Math.min(...seconds));
const round = (value: number): number => Math.round(value * 1000) / 1000;

/** In turns, so that both meet the same machine; the best of each counts. */
function compare(name: string, rounds: number, own: () => Result, peer: () => Result): void {
  const results = Array.from({ length: rounds }, () => [own(), peer()] as const);
  for (const [left, right] of results) {
    if (left.sum !== right.sum || left.checksum !== right.checksum) throw new Error(`${name}: values differ`);
  }
  const [first, second] = [0, 1].map((side) => Math.min(...results.map((pair) => secondsOf(pair[side]!))));
  const [[left, right]] = results as [readonly [Result, Result]];
  const travelled = left.traffic?.reduce((sum, [, traffic]) => sum + traffic.bytesTravelled, 0);
  process.stdout.write(
    `${JSON.stringify({
      case: name,
      colweave: round(first!),
      [right.what]: round(second!),
      speed: round(second! / first!),
      ...(right.needed === undefined
        ? {}
        : { needed: right.needed, travelled, over: round(travelled! / right.needed - 1) }),
      all: results.map((pair) => pair.map((result) => round(secondsOf(result)))),
    })}\n`,
  );
}

async function run(rig: XrootdRig, data: string, rounds: number): Promise<void> {
  const big = join(rig.dir, 'big.bin');
  writeFileSync(big, randomFillSync(Buffer.alloc(WHOLE_BYTES)));
  const url = `${rig.urls.root}${serveFile(rig, big, 'big.bin')}`;
  for (const [name, ...words] of [
    ['200 MB', 'whole', '1', '1', '5'],
    ['400 x 32 KiB', 'readv', '400', '32768', '8'],
    ['2000 x 4 KiB', 'readv', '2000', '4096', '8'],
  ]) {
    compare(
      name!,
      rounds,
      () => ours('remote-root.ts', [url, ...words]),
      () => theirs('remote_root.py', [url, ...words]),
    );
  }
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(data, folder)).map((name) => serveFile(rig, join(data, folder, name), `${folder}/${name}`)),
  );
  const columns = (base: string) => [COLUMNS, ...files.map((file) => `${base}${file}`)];
  const compareColumns = (name: string, base: string) =>
    compare(
      name,
      rounds,
      () => ours('remote-columns.ts', columns(base)),
      () => theirs('remote_columns.py', columns(base)),
    );
  compareColumns('4 of 66 columns', rig.urls.root);
  const port = Number(new URL(rig.urls.http).port);
  const proxy = await startDelayProxy(port, DELAY_MS, { apart: true });
  compareColumns(`4 of 66 columns, ${DELAY_MS} ms`, `root://localhost:${proxy.port}/`);
  proxy.close();
}

const [data, rounds = '3'] = process.argv.slice(2);
if (data === undefined || python.missing !== undefined) {
  process.stderr.write(`${python.missing ?? 'usage: remote-root-run.ts DATA [ROUNDS]'}\n`);
  process.exitCode = 2;
} else {
  const rig = await startXrootd('anonymous');
  try {
    await run(rig, data, Number(rounds));
  } finally {
    await stopXrootd(rig.dir);
  }
}
