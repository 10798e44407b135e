// Measures reading over https against the stream of Node's fetch (undici) and uproot, on the real XRootD server, in one run:
//   node test/bench/remote-https-run.ts DATA [ROUNDS]      DATA holds primary-zstd/ and friend-aligned/ of make_data.py
// 200 MB as a whole; 4 of 66 columns with and without 20 ms of delay. One line of JSON a case. The token is in the URLs, so that
// all ask the same; the authority is made by the rig, and told to each in its own way.
import { readFileSync } from 'node:fs';
import { startDelayProxy } from '../rigs/delay-proxy.ts';
import { rigPython } from '../rigs/harness.ts';
import { startXrootd, stopXrootd, type XrootdRig } from '../rigs/xrootd.ts';
import { COLUMNS, child, compare, script, serveData, serveWhole } from './remote-compare.ts';

const DELAY_MS = 20;

const python = rigPython();

async function run(rig: XrootdRig, data: string, rounds: number): Promise<void> {
  const { caFile, certDir, token } = rig.credentials!;
  const query = `?authz=Bearer%20${readFileSync(token, 'utf8').trim()}`;
  const own = { X509_CERT_DIR: certDir };
  const whole = `${rig.urls.http}${serveWhole(rig)}${query}`;
  compare(
    '200 MB, https',
    rounds,
    () => script('remote-store.ts', [whole, 'whole'], own),
    () => script('remote-stream.ts', [whole], { NODE_EXTRA_CA_CERTS: caFile }),
  );
  const files = serveData(rig, data);
  const compareColumns = (name: string, base: string) => {
    const words = [COLUMNS, ...files.map((file) => `${base}${file}${query}`)];
    compare(
      name,
      rounds,
      () => script('remote-columns.ts', words, own),
      () => child(python.path, ['test/bench/remote_columns.py', ...words], { SSL_CERT_FILE: caFile }),
    );
  };
  compareColumns('4 of 66 columns, https', rig.urls.http);
  const proxy = await startDelayProxy(Number(new URL(rig.urls.http).port), DELAY_MS, { apart: true });
  compareColumns(`4 of 66 columns, https, ${DELAY_MS} ms`, `https://localhost:${proxy.port}`);
  proxy.close();
}

const [data, rounds = '3'] = process.argv.slice(2);
if (data === undefined || python.missing !== undefined) {
  process.stderr.write(`${python.missing ?? 'usage: remote-https-run.ts DATA [ROUNDS]'}\n`);
  process.exitCode = 2;
} else {
  const rig = await startXrootd('secure');
  try {
    await run(rig, data, Number(rounds));
  } finally {
    await stopXrootd(rig.dir);
  }
}
