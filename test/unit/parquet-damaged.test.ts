// Damaged and hostile Parquet files: a coded error or the right data, never a crash, a hang or another value.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import { decompressPage } from '../../src/source/parquet/page.ts';
import { readList, readStruct, readText, thriftCursor } from '../../src/source/parquet/thrift.ts';
import { parquetFormat, parquetRowGroups } from '../../src/source/parquet.ts';
import { withFixture } from './parquet-fixtures/compare.ts';
import { FIXTURES } from './parquet-fixtures/expected.ts';

const scratch = mkdtempSync(join(tmpdir(), 'colweave-damaged-'));
const path = join(scratch, 'case.parquet');
afterAll(() => rmSync(scratch, { recursive: true }));

const fixture = (name: string) => readFileSync(join(FIXTURES, name));

async function openBytes(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return parquetFormat.open(path, {});
}

test.each(['flat_v1.parquet', 'nested_v2.parquet'])('%s cut at fifty places is never read as whole', async (name) => {
  const whole = fixture(name);
  for (let i = 0; i < 50; i++) {
    const cut = whole.subarray(0, Math.floor((whole.length * i) / 50));
    await expect(openBytes(cut), `${cut.length} bytes`).rejects.toMatchObject({
      code: cut.length < 4 ? 'source/not-root' : 'source/truncated',
    });
  }
});

test('a page whose CRC is wrong is named by column, row group and page', async () => {
  const bytes = fixture('codec_none.parquet');
  const chunk = await withFixture(parquetFormat, 'codec_none.parquet', ({ descriptor }) =>
    parquetRowGroups(descriptor)[0]!.chunks.find(({ path: parts }) => parts[0] === 'event'),
  );
  const last = chunk!.start + chunk!.bytes - 1;
  bytes[last] = bytes[last]! ^ 1;
  const file = await openBytes(bytes);
  await expect(file.read(['event'], 0, 32)).rejects.toMatchObject({
    code: 'source/damaged',
    message: expect.stringContaining('CRC'),
    where: [path, 'event', 'row group 0', expect.stringMatching(/^page \d+$/)],
  });
  expect((await file.read(['f32'], 0, 32))[0]!.length).toBe(32);
  await file.close();
});

test('other files are refused by name', async () => {
  await expect(openBytes(Buffer.from('root and more than that'))).rejects.toMatchObject({ code: 'source/not-root' });
  await expect(openBytes(Buffer.alloc(0))).rejects.toMatchObject({ code: 'source/not-root' });
  await expect(openBytes(Buffer.from('PARE............PARE'))).rejects.toMatchObject({
    code: 'source/not-root',
    message: expect.stringContaining('encrypted'),
  });
  await expect(openBytes(Buffer.from('PAR1\xff\xff\xff\x7fPAR1', 'latin1'))).rejects.toMatchObject({
    code: 'source/damaged',
  });
  await expect(parquetFormat.open(join(scratch, 'absent.parquet'), {})).rejects.toMatchObject({
    code: 'source/not-found',
  });
});

test('a page that lies about its size allocates nothing near it', () => {
  const bomb = zstdCompressSync(Buffer.alloc(1 << 20));
  expect(() => decompressPage(6, bomb, 2 ** 31 - 1)).toThrow(/cannot hold/);
  expect(() => decompressPage(1, Buffer.from([255, 255, 255, 255, 7, 0]), 2 ** 31 - 1)).toThrow(/cannot hold/);
  expect(() => decompressPage(6, bomb, 1 << 19)).toThrow(ColweaveError);
  expect(decompressPage(6, bomb, 1 << 20)).toHaveLength(1 << 20);
  expect(() => decompressPage(3, bomb, 10)).toThrow(/lzo is not read/);
});

test('a list or string that says to be longer than the rest is refused before anything is made', () => {
  const list = thriftCursor(Uint8Array.of(0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0));
  const readAsList = (_: number, type: number) => {
    readList(list, type, () => {});
    return true;
  };
  expect(() => readStruct(list, readAsList)).toThrow(/runs? over the end/);
  const text = thriftCursor(Uint8Array.of(0x18, 0xff, 0xff, 0xff, 0x7f, 65));
  expect(() => readStruct(text, (_, type) => readText(text, type) === '')).toThrow(/run over the end/);
  const deep = thriftCursor(new Uint8Array(1000).fill(0x1c));
  expect(() => readStruct(deep, () => false)).toThrow(/nest too deeply/);
});
