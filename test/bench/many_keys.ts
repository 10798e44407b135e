// Makes two Parquet files of the same N events, one in order and one shuffled, for `verify --same-events` and `join` at scale:
//   node test/bench/many_keys.ts DIR ROWS     then     node bin/colweave.js verify DIR/a.parquet --same-events DIR/b.parquet --memory 1G
//   or     node bin/colweave.js join DIR/a.parquet --with b: DIR/b.parquet -o DIR/out.parquet --memory 1G
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { type Field, flat } from '../../src/core/schema.ts';
import { parquet } from '../../src/sink/parquet.ts';

const GROUP_ROWS = 1 << 20;
const OPTIONS = { compression: 'zstd' } as const;
const FIELDS: readonly Field[] = [
  { name: 'run', type: flat('u32'), nullable: false },
  { name: 'luminosityBlock', type: flat('u32'), nullable: false },
  { name: 'event', type: flat('u64'), nullable: false },
  { name: 'number', type: flat('u32'), nullable: false },
];

/** Runs of 4 M events, lumi blocks of 500, event numbers below 2^34 in no order. */
function keysOf(rows: number, start: number, end: number, indexOf: (row: number) => number): Column[] {
  const run = new Uint32Array(end - start);
  const lumi = new Uint32Array(end - start);
  const event = new BigUint64Array(end - start);
  const words = new Uint32Array(event.buffer);
  const number = new Uint32Array(end - start);
  for (let i = 0; i < run.length; i++) {
    const at = indexOf(start + i) % rows;
    run[i] = 316_000 + Math.floor(at / 4_000_000);
    lumi[i] = 1 + (Math.floor(at / 500) % 8000);
    words[2 * i] = Math.imul(at, 0x9e3779b1) >>> 0;
    words[2 * i + 1] = at & 3;
    number[i] = at;
  }
  return [flatColumn('u32', run), flatColumn('u32', lumi), flatColumn('u64', event), flatColumn('u32', number)];
}

async function write(path: string, rows: number, indexOf: (row: number) => number): Promise<void> {
  const sink = await parquet.open(path, { fields: FIELDS }, { ...OPTIONS, force: true });
  for (let start = 0; start < rows; start += GROUP_ROWS) {
    const end = Math.min(rows, start + GROUP_ROWS);
    await sink.append(end - start, await parquet.encode(FIELDS, keysOf(rows, start, end, indexOf), OPTIONS));
  }
  await sink.finish({});
  await sink.commit();
}

const [folder = 'many-keys', text = '20000000'] = process.argv.slice(2);
const rows = Number(text);
mkdirSync(folder, { recursive: true });
await write(join(folder, 'a.parquet'), rows, (row) => row);
/** A prime that divides no such number: every row once, neighbours far apart. */
const STEP = 1_000_003;
await write(join(folder, 'b.parquet'), rows, (row) => (row * STEP) % rows);
