// Skims of whole filesets, and equal columns found on threads that start before the plan is known.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runFileset } from '../../src/command/fileset.ts';
import type { JoinOptions, JoinReport } from '../../src/command/types.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import { list } from '../../src/core/schema.ts';
import { setWorkerEntry } from '../../src/pool/pool.ts';
import {
  fixture,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  scratch,
  type Table,
  verify,
  writeTable,
} from '../mutation/harness.ts';

const folder = scratch();
beforeAll(() => setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const context = { emit: () => {}, signal: new AbortController().signal };

it('--fileset with --where: a cut flow of each dataset, a fileset of what is left', async () => {
  const [one, two, three] = PRIMARY as [string, string, string];
  const sets = {
    A: { files: { [one]: 'Events', [two]: 'Events' } },
    B: { files: { [three]: 'Events' }, metadata: { xsec: 2 } },
  };
  writeFileSync(at('sets.json'), JSON.stringify(sets));
  const where = 'nJet >= 2 and MET_pt > 25';
  const options: JoinOptions = {
    primary: [],
    fileset: at('sets.json'),
    friends: [],
    how: 'left',
    columns: ['MET_pt', 'nJet'],
    where,
    layout: 'arrow',
    missing: { kind: 'reason' },
    schema: 'strict',
    dropUnreadable: true,
    writer: 'parquet',
    compression: 'zstd',
    dryRun: false,
    receipt: false,
    force: true,
    jobs: 1,
    output: `${at('skims')}/`,
  };
  const { datasets, fileset } = await runFileset(options, context);
  expect(datasets.map(({ name }) => name)).toEqual(['A', 'B']);
  for (const [i, files] of [[one, two], [three]].entries()) {
    const { plan, outputs } = datasets[i]!.outcome as JoinReport;
    await makeOutput(at('plain.parquet'), { primary: files, friends: [], where, columns: ['MET_pt', 'nJet'] });
    const alone = await readTable(at('plain.parquet'));
    const flow = (JSON.parse(alone.receipt!) as Receipt).selection!;
    expect(plan.selection).toEqual(flow);
    expect(plan.rowsOut).toBe(rowsOf(alone).length);
    expect(outputs.reduce((sum, { rows }) => sum + rows, 0)).toBe(rowsOf(alone).length);
    for (const { path } of outputs) {
      expect((await verify(path, { against: files })).findings).toEqual([]);
    }
  }
  const written = JSON.parse(readFileSync(fileset!, 'utf8')) as Record<string, { metadata?: unknown }>;
  expect(Object.keys(written)).toEqual(['A', 'B']);
  expect(written.B!.metadata).toEqual({ xsec: 2 });
});

/** Bytes from which a join starts threads before it has a plan. */
const LARGE_BYTES = 64 * 2 ** 20;

it('--dedup of large inputs, on threads that are there before the plan: the same bytes as on one', {
  timeout: 60_000,
}, async () => {
  await makeOutput(at('primary.parquet'), { friends: [], columns: ['MET_*'] });
  const table: Table = { ...(await readTable(at('primary.parquet'))), receipt: undefined };
  const rows = rowsOf(table).length;
  const values = new Float32Array(LARGE_BYTES / 4);
  for (let i = 0; i < values.length; i++) values[i] = (i * 0.6180339) % 1;
  const offsets = Int32Array.from({ length: rows + 1 }, (_, i) => (i === rows ? values.length : 0));
  table.fields.push({ name: 'Ballast', type: list({ kind: 'flat', dtype: 'f32' }), nullable: false });
  table.columns.push({
    kind: 'list',
    length: rows,
    offsets,
    items: { kind: 'flat', dtype: 'f32', length: values.length, values },
  });
  await writeTable(at('large.parquet'), table, 'none');
  const friends = [
    { label: 'a', files: ['friend_regrouped_1.root', 'friend_regrouped_2.root'].map(fixture) },
    { label: 'b', files: [fixture('friend_reordered.root')] },
  ];
  const options = { primary: [at('large.parquet')], friends, dedup: true, columns: ['!Ballast'] };
  const here = await makeOutput(at('one.parquet'), { ...options, jobs: 1 });
  const early = await makeOutput(at('two.parquet'), { ...options, jobs: 2 });
  expect(early.plan.equal).toEqual(here.plan.equal);
  expect(early.plan.equal!.length).toBeGreaterThan(3);
  expect(readFileSync(at('two.parquet')).equals(readFileSync(at('one.parquet')))).toBe(true);
});
