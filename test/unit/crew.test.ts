// How many threads a join is worth: as many as were asked for where there is work for them, else this one alone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions, JoinReport } from '../../src/command/types.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-crew-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const fixture = (name: string) => new URL(`../../fixtures/${name}`, import.meta.url).pathname;

/** Threads of a plan in which each file is a block of its own, so that three could work. */
async function threadsOf(bytesEach: number | undefined, more: Partial<JoinOptions> = {}): Promise<number> {
  vi.stubEnv('COLWEAVE_THREAD_BYTES', bytesEach === undefined ? undefined : String(bytesEach));
  const options: JoinOptions = {
    primary: ['nano_1.root', 'nano_2.root', 'nano_3.root'].map(fixture),
    friends: [],
    how: 'left',
    columns: [],
    layout: 'arrow',
    missing: { kind: 'reason' },
    schema: 'strict',
    dropUnreadable: false,
    output: `${folder}/`,
    writer: 'parquet',
    compression: 'zstd',
    dryRun: true,
    receipt: false,
    force: false,
    jobs: 3,
    ...more,
  };
  const report = await runJoin(options, { emit: () => {}, signal: new AbortController().signal });
  return (report as JoinReport).plan.threads;
}

test('little data is worth one thread, whatever was asked for', async () => {
  expect(await threadsOf(undefined)).toBe(1);
  expect(await threadsOf(0)).toBe(3);
  expect(await threadsOf(0, { jobs: 1 })).toBe(1);
});

test('fewer columns and fewer events are worth fewer threads', async () => {
  // 340 events of 66 columns are about 300 kB as read and 600 kB more as written
  expect(await threadsOf(100_000)).toBe(3);
  expect(await threadsOf(100_000, { columns: ['MET_*'] })).toBe(1);
  expect(await threadsOf(100_000, { where: 'event % 2 == 7 or MET_pt > 1e9' })).toBe(1);
});
