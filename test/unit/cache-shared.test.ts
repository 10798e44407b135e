// A cache that several use at once: one transfer a column, locks of the dead are no obstacle, and what is in use stays.
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { fillColumns, findEntry, type WantedColumn } from '../../src/cache/entries.ts';
import { columnKey, entryName, entryPath } from '../../src/cache/entry-name.ts';
import { type CacheJob, openCache } from '../../src/cache/jobs.ts';
import { isStale, startOf, tryLock } from '../../src/cache/lock.ts';
import { checkCache, collectGarbage, listCache } from '../../src/cache/survey.ts';
import { flatColumn } from '../../src/core/column.ts';
import { flat } from '../../src/core/schema.ts';

const root = mkdtempSync(join(tmpdir(), 'colweave-shared-'));
const jobs: CacheJob[] = [];
afterAll(() => {
  for (const job of jobs) job.close();
  rmSync(root, { recursive: true, force: true });
});

const newJob = (folder: string): CacheJob => {
  const job = openCache({ folder, offline: false, always: true });
  jobs.push(job);
  return job;
};
const newFolder = () => mkdtempSync(join(root, 'cache-'));

const IDENTITY = { size: 100, id: 'file', entries: 50, tree: 'Events' };
const wanted = (name: string): WantedColumn => ({
  key: columnKey(IDENTITY, name),
  field: { name, type: flat('f64'), nullable: false },
  rawBytes: 400,
});

/** Counts how often each column travels. */
function origin(reads: Map<string, number>, delayMs = 0) {
  return {
    uri: 'test',
    rows: 50,
    async read(names: readonly string[], start: number, end: number) {
      for (const name of names) reads.set(name, (reads.get(name) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      return names.map(() =>
        flatColumn(
          'f64',
          Float64Array.from({ length: end - start }, (_, i) => start + i),
        ),
      );
    },
  };
}

it('makes one transfer of a column that several want at once', async () => {
  const folder = newFolder();
  const reads = new Map<string, number>();
  const sets = ['abcd', 'bcde', 'cdef', 'fa', 'g', 'abcdefg'].map((names) => [...names]);
  await Promise.all(sets.map((names) => fillColumns(newJob(folder).access, names.map(wanted), origin(reads, 20))));
  expect(Object.fromEntries(reads)).toEqual({ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 });
  expect(readdirSync(join(folder, 'locks'))).toEqual([]);
  expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
});

it('leaves nothing but entries that are whole when a transfer fails, and lets others go on', async () => {
  const folder = newFolder();
  const { access } = newJob(folder);
  const broken = { ...origin(new Map()), read: () => Promise.reject(new Error('no answer')) };
  await expect(fillColumns(access, [wanted('a')], broken)).rejects.toThrow('no answer');
  for (const part of ['columns', 'locks', 'tmp']) expect(readdirSync(join(folder, part))).toEqual([]);
  await fillColumns(access, [wanted('a')], origin(new Map()));
  const reader = findEntry(access, wanted('a').key)!;
  expect(reader.footer.rows).toBe(50);
  reader.close();
});

it('ends waiting for another job when it is told to stop', async () => {
  const folder = newFolder();
  const { access } = newJob(folder);
  const lock = tryLock(access, entryName(wanted('a').key))!;
  const stop = AbortSignal.timeout(30);
  await expect(fillColumns(access, [wanted('a')], origin(new Map()), stop)).rejects.toThrow();
  lock.release();
});

const host = hostname();
const ME = { host, pid: process.pid, started: startOf(process.pid), token: 'x' };
/** No process has this number (above the largest that Linux gives). */
const NOBODY = 2 ** 22 + 1;
it.each([
  ['of this process', ME, 1e9, false],
  ['of a process that is gone', { ...ME, pid: NOBODY }, 0, true],
  ['of one that had its number before', { ...ME, started: '1' }, 0, true],
  ['of another machine, lately', { ...ME, host: 'elsewhere', pid: NOBODY }, 60_000, false],
  ['of another machine, long silent', { ...ME, host: 'elsewhere' }, 600_000, true],
] as const)('a lock %s', (_what, holder, ageMs, stale) => {
  const { access } = newJob(newFolder());
  const path = join(access.folder, 'locks', 'a.lock');
  writeFileSync(path, JSON.stringify(holder));
  const time = new Date(Date.now() - ageMs);
  utimesSync(path, time, time);
  expect(isStale(path)).toBe(stale);
  const lock = tryLock(access, 'a');
  expect(lock !== undefined).toBe(stale);
  if (lock === undefined) return;
  expect(tryLock(access, 'a')).toBeUndefined();
  lock.release();
  expect(readdirSync(join(access.folder, 'locks'))).toEqual([]);
});

it('gives up a lock only to who holds it', () => {
  const { access } = newJob(newFolder());
  const first = tryLock(access, 'a')!;
  writeFileSync(join(access.folder, 'locks', 'a.lock'), JSON.stringify({ ...ME, token: 'another' }));
  first.release();
  expect(readdirSync(join(access.folder, 'locks'))).toEqual(['a.lock']);
});

const DAY_MS = 86_400_000;
/** Three columns, used 3, 2 and 1 days ago. */
async function aged(folder: string) {
  const job = openCache({ folder, offline: false, always: true });
  await fillColumns(job.access, ['a', 'b', 'c'].map(wanted), origin(new Map()));
  job.close();
  for (const name of readdirSync(join(folder, 'jobs'))) rmSync(join(folder, 'jobs', name));
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    const time = new Date(Date.now() - (3 - i) * DAY_MS);
    utimesSync(entryPath({ folder }, entryName(wanted(name).key)), time, time);
  }
  const [{ bytes } = { bytes: 0 }] = listCache(job.access);
  return { access: job.access, entryBytes: Math.round(bytes / 3) };
}
const left = (access: CacheJob['access']) => listCache(access).flatMap(({ columns }) => columns);

it('lists by file', async () => {
  const { access } = await aged(newFolder());
  expect(listCache(access)).toEqual([
    expect.objectContaining({ uri: 'test', tree: 'Events', rows: 50, columns: ['a', 'b', 'c'] }),
  ]);
});

it('removes what was used longest ago, by size and by age', async () => {
  const { access, entryBytes } = await aged(newFolder());
  expect(collectGarbage(access, { bytesMax: 2 * entryBytes + 20 })).toMatchObject({ removed: 1, kept: 2 });
  expect(left(access)).toEqual(['b', 'c']);
  expect(collectGarbage(access, { ageMaxMs: 1.5 * DAY_MS })).toMatchObject({ removed: 1, kept: 1 });
  expect(left(access)).toEqual(['c']);
  expect(collectGarbage(access, {})).toMatchObject({ removed: 0, kept: 1 });
});

it('counts a use as one, also after its job has ended and gc has been', async () => {
  const folder = newFolder();
  const { access, entryBytes } = await aged(folder);
  const job = openCache({ folder, offline: false, always: true });
  findEntry(job.access, wanted('a').key)!.close();
  job.close();
  collectGarbage(access, {});
  expect(readdirSync(join(folder, 'jobs'))).toEqual(['past.log']);
  collectGarbage(access, { bytesMax: 2 * entryBytes + 20 });
  expect(left(access)).toEqual(['a', 'c']);
});

it('never removes what a running job uses', async () => {
  const folder = newFolder();
  const { access } = await aged(folder);
  const job = openCache({ folder, offline: false, always: true });
  findEntry(job.access, wanted('a').key)!.close();
  expect(collectGarbage(access, { ageMaxMs: 0 }, Date.now() + 1000)).toMatchObject({
    removed: 2,
    inUse: 1,
    runningJobs: 1,
  });
  expect(left(access)).toEqual(['a']);
  job.close();
  expect(collectGarbage(access, { ageMaxMs: 0 }, Date.now() + 1000)).toMatchObject({
    removed: 1,
    inUse: 0,
    runningJobs: 0,
  });
});

it('sweeps up after jobs that died, and not what a living one writes', async () => {
  const folder = newFolder();
  const { access } = newJob(folder);
  const [dead, living] = ['a', 'b'].map((name) => entryName(wanted(name).key)) as [string, string];
  writeFileSync(join(folder, 'tmp', `${dead}.${host}.${NOBODY}.0abc`), 'half of an entry');
  writeFileSync(join(folder, 'tmp', `${living}.${host}.${process.pid}.0abc`), 'half of an entry');
  writeFileSync(join(folder, 'locks', `${dead}.lock`), JSON.stringify({ ...ME, pid: NOBODY }));
  const lock = tryLock(access, living)!;
  expect(collectGarbage(access, {}).litter).toBe(1);
  expect(readdirSync(join(folder, 'tmp'))).toEqual([`${living}.${host}.${process.pid}.0abc`]);
  expect(readdirSync(join(folder, 'locks'))).toEqual([`${living}.lock`]);
  lock.release();
});

it('checks every byte, and sets aside what is damaged', async () => {
  const folder = newFolder();
  const { access } = await aged(folder);
  const check = () => checkCache(access, () => {}, new AbortController().signal);
  expect(check()).toMatchObject({ entries: 3, damaged: [], badRefs: 0 });
  const name = entryName(wanted('b').key);
  writeFileSync(entryPath({ folder }, name), 'something else altogether, and long enough to hold the tail of an entry');
  writeFileSync(join(folder, 'refs', 'x.json'), '{"format":"ref/1"}');
  expect(check()).toMatchObject({ entries: 3, damaged: [{ name }], badRefs: 1 });
  expect(left(access)).toEqual(['a', 'c']);
  expect(check()).toMatchObject({ entries: 2, damaged: [], badRefs: 0 });
});
