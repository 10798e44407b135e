// Defects that the fuzz run found: sizes, counts and positions of a damaged file that became memory, output or wrong reads.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, expect, it, vi } from 'vitest';
import { openFileStore } from '../../src/bytes/file.ts';
import { checkPageBytes } from '../../src/source/parquet/page.ts';
import { openSource } from '../../src/source/registry.ts';
import { objectOf, recordsOf, withObject } from '../fuzz/mutate-root.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-sizes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const nano = readFileSync('fixtures/nano_1.root');
const path = join(folder, 'case.root');

async function opening(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  const file = await openSource(path, {});
  await file.close();
}

const recordAt = (at: number) => recordsOf(nano).find((record) => record.at === at)!;
/** Positions in the header, whose numbers have 4 bytes: streamer infos, and of the root directory its list of keys. */
const INFO_SEEK_AT = 37;
const directoryAt = nano.readUInt32BE(8) + nano.readUInt32BE(28);
const KEYS_BYTES_AT = directoryAt + 10;
const keysSeek = nano.readUInt32BE(directoryAt + 26);

it('a range beyond the end of a file is refused before anything is allocated for it', async () => {
  const store = openFileStore('fixtures/nano_1.root');
  const reading = (offset: number, length: number) => store.read([{ offset, length }]);
  await expect(reading(100, 2 ** 40)).rejects.toMatchObject({ code: 'source/truncated' });
  await expect(reading(store.size, 1)).rejects.toMatchObject({ code: 'source/truncated' });
  await store.close();
});

it('a negative position is refused: the operating system would read on from wherever it is', async () => {
  const store = openFileStore('fixtures/nano_1.root');
  await expect(store.read([{ offset: -1, length: 4 }])).rejects.toMatchObject({ code: 'source/damaged' });
  await store.close();
});

it('a list of keys of 2 GB in a file of 46 kB', async () => {
  const bytes = Buffer.from(nano);
  bytes.writeUInt32BE(0x7fff_ffff, KEYS_BYTES_AT);
  await expect(opening(bytes)).rejects.toMatchObject({ code: 'source/truncated' });
});

it('a count of keys that no list can have prints nothing and ends', async () => {
  const printed = vi.spyOn(console, 'log');
  const bytes = Buffer.from(nano);
  bytes.writeUInt32BE(0xffff_ffff, keysSeek + recordAt(keysSeek).keyBytes);
  await expect(opening(bytes)).rejects.toMatchObject({ code: 'source/damaged' });
  expect(printed).not.toHaveBeenCalled();
  printed.mockRestore();
});

it('jsroot never sees the header and keys of the file: a title that it would stumble over does not matter', async () => {
  const printed = vi.spyOn(console, 'log');
  const bytes = Buffer.from(nano);
  bytes.fill(255, 53, 63); // between the compression settings and the UUID
  await expect(opening(bytes)).resolves.toBeUndefined();
  expect(printed).not.toHaveBeenCalled();
  printed.mockRestore();
});

it('a description that says to be a gigabyte, or is one', async () => {
  const tree = recordsOf(nano).find(({ className }) => className === 'TTree')!;
  const lie = withObject(nano, tree, objectOf(nano, tree), 2 ** 30);
  await expect(opening(lie)).rejects.toMatchObject({
    code: 'source/damaged',
    message: expect.stringContaining('say that they hold'),
  });
  const block = zstdCompressSync(Buffer.alloc(0xffffff));
  const head = Buffer.from('ZS\x01\0\0\0\xff\xff\xff', 'latin1');
  head.writeUIntLE(block.length, 3, 3);
  const bomb = Buffer.concat(Array.from({ length: 60 }, () => [head, block]).flat());
  const real = withObject(nano, tree, bomb, 60 * 0xffffff);
  await expect(opening(real)).rejects.toMatchObject({
    code: 'source/damaged',
    message: expect.stringContaining('say that they hold'),
  });
});

it('a list of 16 million streamer infos gets no array of that length', async () => {
  const infos = recordAt(nano.readUInt32BE(INFO_SEEK_AT));
  const object = objectOf(nano, infos);
  // byte count, version, TObject, an empty name, then the count
  object.writeUInt32BE(0x00ff_ffff, 4 + 2 + 10 + 1);
  const made = vi.spyOn(globalThis, 'Array');
  await expect(opening(withObject(nano, infos, object))).rejects.toMatchObject({ code: 'source/damaged' });
  expect(made.mock.calls.some(([length]) => Number(length) > 1_000_000)).toBe(false);
  made.mockRestore();
});

it('a member with more dimensions than have sizes, or longer than its record, does not run on', async () => {
  const infos = recordAt(nano.readUInt32BE(INFO_SEEK_AT));
  const object = objectOf(nano, infos);
  // of an element: name, title, type, size, array length, dimensions, five sizes, then the name of the type
  const pointer = object.indexOf('\x06TList*'); // a pointer of TTree
  const damagedAt = async (at: number, value: number) => {
    const bytes = Buffer.from(object);
    bytes.writeUInt32BE(value, at);
    const start = performance.now();
    await expect(opening(withObject(nano, infos, bytes))).rejects.toMatchObject({ code: 'source/damaged' });
    expect(performance.now() - start).toBeLessThan(5000);
  };
  await damagedAt(pointer - 24, 6);
  await damagedAt(pointer - 24, 2 ** 31);
  await damagedAt(pointer - 28, 2 ** 30);
});

it('a page of Parquet is no larger than its column, nor than its values can be', () => {
  const header = { rawBytes: 96 * 2 ** 20, entries: 32 } as Parameters<typeof checkPageBytes>[0];
  expect(() => checkPageBytes(header, 5000, 0)).toThrow(/in a column of 5000/);
  expect(() => checkPageBytes(header, 2 ** 30, 8)).toThrow(/for 32 values/);
  expect(() => checkPageBytes(header, 2 ** 30, 0)).not.toThrow();
  expect(() => checkPageBytes({ ...header, entries: 2 ** 24 }, 2 ** 30, 8)).not.toThrow();
  expect(() => checkPageBytes({ ...header, rawBytes: 2 ** 20 }, 10, 4)).not.toThrow();
});
