// Times reading a few columns of files over the network with the readers of src, one thread, and counts what travelled:
//   node test/bench/remote-columns.ts COLUMN,COLUMN FILES...      (prefix a file with nothing: root://, https:// or a path)
// One line of JSON: seconds, events, a sum over the bits of all values, requests and bytes by server. remote_columns.py is the peer.
import { createHash } from 'node:crypto';
import { tallyNow } from '../../src/bytes/counted.ts';
import { type Column, columnBytes } from '../../src/core/column.ts';
import { bytesOf } from '../../src/core/dtype.ts';
import { openSource } from '../../src/source/registry.ts';

const [names, ...files] = process.argv.slice(2);
const wanted = names!.split(',');

function addTo(hash: ReturnType<typeof createHash>, column: Column): void {
  if (column.kind === 'list') {
    hash.update(bytesOf(column.offsets));
    addTo(hash, column.items);
  } else if (column.kind !== 'utf8') hash.update(bytesOf(column.values));
}

const hash = createHash('sha256');
let events = 0;
let bytes = 0;
const start = performance.now();
let next = openSource(files[0]!, {});
for (const [i] of files.entries()) {
  const source = await next;
  // as a join does it: the next file is opened while this one is read
  if (i + 1 < files.length) {
    next = openSource(files[i + 1]!, {});
    next.catch(() => {});
  }
  const { rows, schema } = source.descriptor;
  const own = wanted.filter((name) => schema.fields.some((field) => field.name === name));
  for (const column of await source.read(own, 0, rows)) {
    bytes += columnBytes(column);
    addTo(hash, column);
  }
  events += rows;
  await source.close();
}
const seconds = (performance.now() - start) / 1000;
const sum = hash.digest('hex').slice(0, 16);
process.stdout.write(`${JSON.stringify({ what: 'colweave', seconds, events, bytes, sum, traffic: tallyNow() })}\n`);
