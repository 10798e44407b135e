// The Arrow sink: what apache-arrow reads back, where the metadata stand, and a standard output that is all or nothing.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, describe, expect, it } from 'vitest';
import { type Column, flatColumn, sliceColumn } from '../../src/core/column.ts';
import { type Field, flat, list, utf8 } from '../../src/core/schema.ts';
import { arrowColumn } from '../../src/sink/arrow/columns.ts';
import { arrow } from '../../src/sink/arrow.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-arrow-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS = { compression: 'none', force: false } as const;
const offsets = Int32Array.of(0, 2, 2, 3);
const strings: Column = { kind: 'utf8', length: 3, offsets: Int32Array.of(0, 1, 1, 3), bytes: Buffer.from('aé') };

const fields: Field[] = [
  { name: 'event', type: flat('u64'), nullable: false, doc: 'event/l' },
  { name: 'HLT', type: flat('bool'), nullable: true },
  { name: 'Jet_pt', type: list(flat('f32')), nullable: false },
  { name: 'Jet_ok', type: list(flat('bool')), nullable: true },
  { name: 'label', type: utf8, nullable: false },
  { name: 'deep', type: list(list(flat('i8'))), nullable: false },
];
const columns: Column[] = [
  flatColumn('u64', BigUint64Array.of(1n, 2n ** 53n + 1n, 2n ** 64n - 1n)),
  flatColumn('bool', Uint8Array.of(1, 0, 1), Uint8Array.of(1, 0, 1)),
  { kind: 'list', length: 3, offsets, items: flatColumn('f32', Float32Array.of(1.5, -0, 3)) },
  {
    kind: 'list',
    length: 3,
    offsets,
    items: flatColumn('bool', Uint8Array.of(1, 0, 1)),
    valid: Uint8Array.of(1, 0, 1),
  },
  strings,
  {
    kind: 'list',
    length: 3,
    offsets,
    items: {
      kind: 'list',
      length: 3,
      offsets: Int32Array.of(0, 1, 1, 2),
      items: flatColumn('i8', Int8Array.of(-1, 127)),
    },
  },
];

async function writeStream(path: string) {
  const sink = await arrow.open(path, { fields }, OPTIONS);
  for (const [start, end] of [
    [0, 1],
    [1, 3],
  ] as const) {
    const part = columns.map((column) => sliceColumn(column, start, end));
    await sink.append(end - start, await arrow.encode(fields, part, OPTIONS));
  }
  await sink.finish({ 'colweave.receipt': '{}' });
  const fingerprint = sink.fingerprint();
  await sink.commit();
  return fingerprint;
}

describe('the arrow sink', () => {
  it('writes every kind of column, with nulls, types, titles and the receipt in the schema', async () => {
    const path = join(folder, 'a.arrows');
    const fingerprint = await writeStream(path);
    const table = tableFromIPC(readFileSync(path));
    const values = (name: string) => [...table.getChild(name)!].map((cell) => cell?.toJSON?.() ?? cell);
    expect(table.schema.metadata.get('colweave.receipt')).toBe('{}');
    expect(table.schema.fields[0]!.metadata.get('title')).toBe('event/l');
    expect(table.schema.fields.map(({ name, type, nullable }) => `${name} ${type} ${nullable}`)).toEqual([
      'event Uint64 false',
      'HLT Bool true',
      'Jet_pt List<Float32> false',
      'Jet_ok List<Bool> true',
      'label Utf8 false',
      'deep List<List<Int8>> false',
    ]);
    expect(table.schema.fields[2]!.type.children[0]!.nullable).toBe(false);
    expect(values('event')).toEqual([1n, 2n ** 53n + 1n, 2n ** 64n - 1n]);
    expect(values('HLT')).toEqual([true, null, true]);
    expect(values('Jet_pt')).toEqual([[1.5, -0], [], [3]]);
    expect(values('Jet_ok')).toEqual([[true, false], null, [true]]);
    expect(values('label')).toEqual(['a', '', 'é']);
    expect(fingerprint.rowGroups.map(({ rows }) => rows)).toEqual([1, 2]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('gives the same bytes twice, and leaves nothing after abort', async () => {
    await writeStream(join(folder, 'b.arrows'));
    await writeStream(join(folder, 'c.arrows'));
    expect(readFileSync(join(folder, 'b.arrows'))).toEqual(readFileSync(join(folder, 'c.arrows')));
    const sink = await arrow.open(join(folder, 'd.arrows'), { fields }, OPTIONS);
    await sink.append(3, await arrow.encode(fields, columns, OPTIONS));
    await sink.finish({});
    await sink.abort();
    expect(readdirSync(folder).filter((name) => name.includes('d.arrows'))).toEqual([]);
  });

  it('passes flat values and offsets on without a copy', () => {
    const encoded = arrowColumn(columns[2]!);
    expect(encoded.offsets).toBe(offsets);
    expect(encoded.items!.values).toBe((columns[2] as { items: { values: unknown } }).items.values);
  });

  it('writes a stream of no rows', async () => {
    const path = join(folder, 'empty.arrows');
    const sink = await arrow.open(path, { fields }, OPTIONS);
    await sink.finish({});
    await sink.commit();
    expect(tableFromIPC(readFileSync(path)).numRows).toBe(0);
  });

  describe('on the standard output', () => {
    const script = join(folder, 'print.mts');
    const module = (path: string) => JSON.stringify(resolve('src', path));
    writeFileSync(
      script,
      `const { arrow } = await import(${module('sink/arrow.ts')});
      const { flatColumn } = await import(${module('core/column.ts')});
      const options = { compression: 'none', force: false };
      const fields = [{ name: 'x', type: { kind: 'flat', dtype: 'f64' }, nullable: false }];
      const sink = await arrow.open('-', { fields }, options);
      const column = flatColumn('f64', new Float64Array(1e6));
      await sink.append(1e6, await arrow.encode(fields, [column], options));
      await sink.finish({});
      if (process.argv[2] === 'abort') await sink.abort();
      else await sink.commit();`,
    );
    const run = (command: string) => {
      const spool = mkdtempSync(join(folder, 'spool-'));
      const env = { ...process.env, TMPDIR: spool, _CONDOR_SCRATCH_DIR: spool, NODE: process.execPath, SCRIPT: script };
      const result = spawnSync('bash', ['-c', `set -o pipefail; ${command}`], { env, maxBuffer: 1e8 });
      expect(readdirSync(spool)).toEqual([]);
      return result;
    };

    it('prints the stream at commit, and leaves no spool', () => {
      const { stdout, status } = run('"$NODE" "$SCRIPT" commit');
      expect(status).toBe(0);
      expect(tableFromIPC(stdout).numRows).toBe(1e6);
    });

    it('prints nothing when it is aborted', () => {
      expect(run('"$NODE" "$SCRIPT" abort').stdout.length).toBe(0);
    });

    it('ends quietly when the reader goes away', () => {
      const { stderr, status } = run('"$NODE" "$SCRIPT" commit | head -c 10 >/dev/null');
      expect([status, stderr.toString()]).toEqual([0, '']);
    });
  });
});
