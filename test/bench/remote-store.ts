// Times our stores of root:// and http(s)://: one JSON object a run, as remote_root.py and remote-stream.ts give for the peers.
//   node test/bench/remote-store.ts URL whole|readv [COUNT BYTES] [REPEATS]

import { tallyNow } from '../../src/bytes/counted.ts';
import { openHttp } from '../../src/bytes/http.ts';
import { openXrootdStore } from '../../src/bytes/xrootd.ts';

const [url, mode, count = '400', bytes = '32768', repeats = '5'] = process.argv.slice(2);
const seconds: number[] = [];
let checksum = 0;
for (let i = 0; i < Number(repeats); i++) {
  const start = performance.now();
  // not openStore, which keeps what was read
  const store = url!.startsWith('http') ? await openHttp(url!) : await openXrootdStore(url!, {});
  const length = mode === 'whole' ? store.size : Number(bytes);
  const step = Math.floor((store.size - length) / Math.max(1, Number(count) - 1));
  const ranges =
    mode === 'whole'
      ? [{ offset: 0, length }]
      : Array.from({ length: Number(count) }, (_, n) => ({ offset: n * step, length }));
  const arrays = await store.read(ranges);
  await store.close();
  seconds.push((performance.now() - start) / 1000);
  checksum = arrays.reduce((sum, array) => sum + array[0]! + array[array.length - 1]!, 0);
}
process.stdout.write(
  `${JSON.stringify({ what: 'colweave', mode, count, bytes, seconds, checksum, traffic: tallyNow() })}\n`,
);
