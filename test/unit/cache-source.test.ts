// Reading through a cache: the same columns as from the file (as uproot reads them), fetched once, also offline and by others.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { columnKey, entryName, entryPath } from '../../src/cache/entry-name.ts';
import { type CacheJob, openCache } from '../../src/cache/jobs.ts';
import { ColweaveError, type ErrorCode } from '../../src/core/errors.ts';
import { openCached } from '../../src/source/cached.ts';
import { openSource, reopenSource } from '../../src/source/registry.ts';
import type { SourceFile } from '../../src/source/types.ts';
import { digests, fixture, readDigests } from './column-digests.ts';

const root = mkdtempSync(join(tmpdir(), 'colweave-cache-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const EXPECTED = readDigests('root-digests.json');
const FILE = 'nano_1.root';
/** Fixed arrays, and lists of them. */
const SHAPES = 'shapes.root';

let serial = 0;
const newFolder = () => join(root, `cache${serial++}`);

/** One job: opens the cache and a file, works, and says what the cache counted. */
async function inJob<T>(
  folder: string,
  work: (file: SourceFile, job: CacheJob) => Promise<T>,
  { offline = false, always = true, uri = fixture(FILE) } = {},
) {
  const job = openCache({ folder, offline, always });
  try {
    const file = await openSource(uri, { cache: job.access });
    try {
      const result = await work(file, job);
      return { result, counts: job.counts() };
    } finally {
      await file.close();
    }
  } finally {
    job.close();
  }
}

const read = (names: readonly string[]) => (file: SourceFile) => file.read(names, 0, file.descriptor.rows);
const pathOf = (folder: string, file: SourceFile, column: string) =>
  entryPath({ folder }, entryName(columnKey(file.descriptor.identity, column)));

it('gives the columns that uproot reads, from the file and then from entries alone', async () => {
  const folder = newFolder();
  const own = join(root, 'own.root');
  copyFileSync(fixture(SHAPES), own);
  const columns = Object.keys(EXPECTED[SHAPES]!).length;
  const first = await inJob(folder, (file) => digests(file), { uri: own });
  expect(first.result).toEqual(EXPECTED[SHAPES]);
  expect(first.counts).toMatchObject({ hits: 0, fetched: columns, damaged: 0, offline: 0 });
  rmSync(own); // nothing but the cache is left
  const again = await inJob(folder, (file) => digests(file, 7), { uri: own, offline: true });
  expect(again.result).toEqual(EXPECTED[SHAPES]);
  expect(again.counts).toMatchObject({ hits: columns, fetched: 0, offline: 1 });
});

it('fetches the difference only', async () => {
  const folder = newFolder();
  expect((await inJob(folder, read(['Jet_pt', 'MET_pt']))).counts).toMatchObject({ hits: 0, fetched: 2 });
  expect((await inJob(folder, read(['MET_pt']))).counts).toMatchObject({ hits: 1, fetched: 0 });
  expect((await inJob(folder, read(['Jet_pt', 'Jet_eta', 'MET_pt']))).counts).toMatchObject({ hits: 2, fetched: 1 });
});

it('knows a file by what it is, not by its name', async () => {
  const folder = newFolder();
  await inJob(folder, read(['MET_pt']));
  const copy = join(root, 'other name.root');
  copyFileSync(fixture(FILE), copy);
  expect((await inJob(folder, read(['MET_pt']), { uri: copy })).counts).toMatchObject({ hits: 1, fetched: 0 });
  const { counts } = await inJob(folder, read(['MET_pt']), { uri: fixture('nano_2.root') });
  expect(counts).toMatchObject({ hits: 0, fetched: 1 });
});

it('has lists of one collection share their offsets, as the file does', async () => {
  const { result } = await inJob(newFolder(), read(['Jet_pt', 'Jet_eta', 'Muon_pt']));
  const [pt, eta, muon] = result.map((column) => (column.kind === 'list' ? column.offsets : undefined));
  expect(pt).toBe(eta);
  expect(pt).not.toBe(muon);
});

it('opens again from a descriptor that went to a thread', async () => {
  const folder = newFolder();
  await inJob(
    folder,
    async (file, job) => {
      const other = await reopenSource(structuredClone(file.descriptor));
      expect(await digests(other)).toEqual(EXPECTED[SHAPES]);
      await other.close();
      const there = job.counts().fetched;
      await digests(file);
      expect(job.counts().fetched).toBe(there);
    },
    { uri: fixture(SHAPES) },
  );
});

it('finds a damaged entry when it is read, and fetches it again', async () => {
  const folder = newFolder();
  const { result: truth } = await inJob(folder, read(['Jet_pt']));
  let path = '';
  await inJob(folder, async (file) => {
    path = pathOf(folder, file, 'Jet_pt');
  });
  const whole = readFileSync(path);
  const places = [0, 9, whole.length >> 2, whole.length >> 1, whole.length - 50, whole.length - 1];
  for (const at of places) {
    const bytes = Uint8Array.from(whole);
    bytes[at]! ^= 0x10;
    writeFileSync(path, bytes);
    const { result, counts } = await inJob(folder, read(['Jet_pt']));
    expect(result).toEqual(truth);
    expect(counts).toMatchObject({ fetched: 1, damaged: 1 });
    expect(readFileSync(path)).toEqual(whole);
  }
  expect(readdirSync(join(folder, 'damaged'))).toHaveLength(places.length);
  writeFileSync(path, whole.subarray(0, 100));
  await expect(inJob(folder, read(['Jet_pt']), { offline: true })).rejects.toMatchObject({
    code: 'cache/offline-miss',
  });
});

it('leaves local files alone unless it is for those too', async () => {
  const folder = newFolder();
  expect((await inJob(folder, read(['MET_pt']), { always: false })).counts).toMatchObject({ hits: 0, fetched: 0 });
  expect(readdirSync(join(folder, 'columns'))).toEqual([]);
});

it('says what it has not when no server may be asked', async () => {
  const folder = newFolder();
  const offline = { offline: true };
  await expect(inJob(folder, read(['MET_pt']), offline)).rejects.toMatchObject({ code: 'cache/offline-miss' });
  await inJob(folder, read(['MET_pt']));
  expect((await inJob(folder, read(['MET_pt']), offline)).counts).toMatchObject({ hits: 1, offline: 1 });
  await expect(inJob(folder, read(['MET_pt', 'MET_phi']), offline)).rejects.toMatchObject({
    code: 'cache/offline-miss',
    message: expect.stringContaining('"MET_phi"'),
  });
});

it('knows a file by the name of its tree too, named or not', async () => {
  const folder = newFolder();
  await inJob(folder, read(['MET_pt']));
  const job = openCache({ folder, offline: true, always: true });
  const file = await openSource(fixture(FILE), { tree: 'Events', cache: job.access });
  expect((await file.read(['MET_pt'], 3, 5))[0]!.length).toBe(2);
  await file.close();
  await expect(openSource(fixture(FILE), { tree: 'Runs', cache: job.access })).rejects.toMatchObject({
    code: 'cache/offline-miss',
  });
  job.close();
});

it('says what it knows when a server does not answer, but not when it says no', async () => {
  const folder = newFolder();
  await inJob(folder, read(['MET_pt']));
  const job = openCache({ folder, offline: false, always: true });
  const opening = (code: ErrorCode) =>
    openCached(fixture(FILE), undefined, job.access, {
      direct: () => Promise.reject(new ColweaveError(code, 'as tested')),
      reopen: reopenSource,
    });
  const file = await opening('remote/unreachable');
  expect((await file.read(['MET_pt'], 0, 5))[0]!.length).toBe(5);
  await expect(file.read(['MET_phi'], 0, 5)).rejects.toMatchObject({ code: 'cache/offline-miss' });
  await file.close();
  expect(job.counts().offline).toBe(1);
  for (const code of ['source/not-found', 'remote/changed'] as const) {
    await expect(opening(code)).rejects.toMatchObject({ code });
  }
  job.close();
});

it('gives the error of the file for a column that is not in it', async () => {
  await expect(inJob(newFolder(), read(['MET_ptt']))).rejects.toMatchObject({ code: 'source/no-column' });
});

it('is as open as its directory, whatever the umask, and no more', async () => {
  const folder = newFolder();
  mkdirSync(folder);
  chmodSync(folder, 0o2770);
  const before = process.umask(0o077);
  try {
    await inJob(folder, read(['MET_pt']));
  } finally {
    process.umask(before);
  }
  const modes = readdirSync(folder, { recursive: true, withFileTypes: true }).map((item) => {
    const { mode } = statSync(join(item.parentPath, item.name));
    return `${item.isDirectory() ? 'folder' : 'file'} ${(mode & 0o7777).toString(8)}`;
  });
  expect([...new Set(modes)].sort()).toEqual(['file 660', 'folder 2770']);
  chmodSync(folder, 0o777);
  expect(() => openCache({ folder, offline: false, always: true })).toThrow(
    expect.objectContaining({ code: 'cache/not-private' }),
  );
  chmodSync(folder, 0o1777);
  await inJob(folder, read(['MET_pt']));
});

it('makes a directory of its own that nobody else can look into', async () => {
  const folder = newFolder();
  await inJob(folder, read(['MET_pt']));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

it('does without a directory that it cannot write to', async () => {
  const folder = newFolder();
  const [name] = Object.keys(EXPECTED[SHAPES]!);
  await inJob(folder, read([name!]), { uri: fixture(SHAPES) });
  const job = openCache({ folder, offline: false, always: true });
  const access = { ...job.access, writable: false, job: '' };
  const file = await openSource(fixture(SHAPES), { cache: access });
  expect(await digests(file)).toEqual(EXPECTED[SHAPES]);
  await file.close();
  job.close();
  expect(
    readdirSync(join(folder, 'columns'), { recursive: true }).filter((name) => `${name}`.endsWith('.col')),
  ).toHaveLength(1);
});
