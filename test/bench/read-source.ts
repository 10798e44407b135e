// Times reading every column of files with the readers of src, one thread, in this process:  node test/bench/read-source.ts ROWS FILES...
// ROWS at a time, 0 = a file at once. One line of JSON: events, seconds, bytes of values, peak memory.
import { makeArena } from '../../src/core/arena.ts';
import { columnBytes } from '../../src/core/column.ts';
import { openSource } from '../../src/source/registry.ts';

const [rowsAtOnce, ...files] = process.argv.slice(2);
let events = 0;
let bytes = 0;
const start = performance.now();
for (const file of files) {
  const source = await openSource(file, {});
  const { rows, schema } = source.descriptor;
  const names = schema.fields.map(({ name }) => name);
  const step = Number(rowsAtOnce) || rows;
  const arena = step < rows ? makeArena() : undefined; // as a join does it
  for (let row = 0; row < rows; row += step) {
    const columns = await source.read(names, row, Math.min(rows, row + step), undefined, arena?.take);
    for (const column of columns) bytes += columnBytes(column);
    arena?.clear();
  }
  arena?.close();
  events += rows;
  await source.close();
}
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage();
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(JSON.stringify({ events, seconds, cpuSeconds: (user + system) / 1e6, megabytes: bytes / 1e6, peakMb }));
