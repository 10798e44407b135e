// The floor counts the bytes that a join has to decompress, copy and compress, of ROOT and of Parquet.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { measureFloor } from '../../src/bench/floor.ts';
import { parquetRowGroups } from '../../src/source/parquet.ts';
import { openSource } from '../../src/source/registry.ts';

const FIXTURES = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'fixtures');
const at = (name: string) => join(FIXTURES, name);
const signal = new AbortController().signal;

/** Columns that the two have, of one file: what the floor should have read. */
async function bytesOf(file: string, like: string): Promise<{ stored: number; raw: number }> {
  const [source, other] = await Promise.all([openSource(at(file), {}), openSource(at(like), {})]);
  const names = other.descriptor.schema.fields.map(({ name }) => name);
  const own = source.descriptor.schema.fields.map(({ name }) => name).filter((name) => names.includes(name));
  const sizes = { stored: source.bytesOf(own), raw: source.rawBytesOf(own) };
  await Promise.all([source.close(), other.close()]);
  return sizes;
}

test('of ROOT: the baskets of the columns in the output, raw as large as the tree says', async () => {
  const joined = at('friend_i64.parquet');
  const floor = await measureFloor({ primary: [at('friend_i64.root')], friend: [joined], joined }, signal);
  const { stored, raw } = await bytesOf('friend_i64.root', 'friend_i64.parquet');
  const { bytesIn, bytesOut } = floor.decompressPrimary;
  expect(bytesIn).toBe(stored);
  expect(Math.abs(bytesOut - raw)).toBeLessThan(0.1 * raw + 1000); // the tree counts keys, too
  expect(floor.copy.bytesOut).toBe(bytesOut + floor.decompressFriend.bytesOut);
  expect(floor.cpuSeconds).toBeGreaterThanOrEqual(0);
});

test('of an RNTuple: the pages of the columns in the output', async () => {
  const joined = at('friend_i64.parquet');
  const floor = await measureFloor({ primary: [at('friend_rntuple.root')], friend: [joined], joined }, signal);
  const { stored, raw } = await bytesOf('friend_rntuple.root', 'friend_i64.parquet');
  const { bytesIn, bytesOut } = floor.decompressPrimary;
  expect(bytesIn).toBe(stored);
  expect(Math.abs(bytesOut - raw)).toBeLessThan(0.2 * raw); // an index of 64 bits becomes offsets of 32
});

test.each(['friend_i64.parquet', 'friend_pages_v2.parquet'])(
  'of %s: all pages, as raw as they were made of',
  async (name) => {
    const joined = at(name);
    const floor = await measureFloor({ primary: [joined], friend: [joined], joined }, signal);
    const file = await openSource(joined, {});
    const chunks = parquetRowGroups(file.descriptor).flatMap((group) => group.chunks);
    await file.close();
    const raw = chunks.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
    expect(floor.storedBytes).toBe(chunks.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(floor.compress.bytesIn).toBe(floor.decompressPrimary.bytesOut);
    expect(floor.compress.bytesIn).toBeLessThan(raw); // headers and levels of version 2 are not compressed
    expect(floor.compress.bytesIn).toBeGreaterThan(0.3 * raw);
  },
);
