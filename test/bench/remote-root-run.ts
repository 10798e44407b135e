// Measures reading over root:// against the C++ client and uproot, on the real server, in one run:
//   node test/bench/remote-root-run.ts DATA [ROUNDS]      DATA holds primary-zstd/ and friend-aligned/ of make_data.py
// 200 MB as a whole; 400 x 32 KiB; 2000 x 4 KiB; 4 of 66 columns with and without 20 ms of delay. One line of JSON a case.
import { join } from 'node:path';
import { startDelayProxy } from '../rigs/delay-proxy.ts';
import { rigPython } from '../rigs/harness.ts';
import { startXrootd, stopXrootd, type XrootdRig } from '../rigs/xrootd.ts';
import { COLUMNS, child, compare, script, serveData, serveWhole } from './remote-compare.ts';

const DELAY_MS = 20;

const python = rigPython('xrootd');

const theirs = (name: string, words: readonly string[]) => child(python.path, [join('test/bench', name), ...words]);

async function run(rig: XrootdRig, data: string, rounds: number): Promise<void> {
  const url = `${rig.urls.root}${serveWhole(rig)}`;
  for (const [name, ...words] of [
    ['200 MB', 'whole', '1', '1', '5'],
    ['400 x 32 KiB', 'readv', '400', '32768', '8'],
    ['2000 x 4 KiB', 'readv', '2000', '4096', '8'],
  ]) {
    compare(
      name!,
      rounds,
      () => script('remote-store.ts', [url, ...words]),
      () => theirs('remote_root.py', [url, ...words]),
    );
  }
  const files = serveData(rig, data);
  const columns = (base: string) => [COLUMNS, ...files.map((file) => `${base}${file}`)];
  const compareColumns = (name: string, base: string) =>
    compare(
      name,
      rounds,
      () => script('remote-columns.ts', columns(base)),
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
