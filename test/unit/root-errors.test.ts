// Bad ROOT files: each ends in a coded error that says where, never in a crash, a hang or a wrong value.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import { openSource, reopenSource } from '../../src/source/registry.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-root-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function readAll(path: string, tree?: string): Promise<void> {
  const source = await openSource(path, tree === undefined ? {} : { tree });
  try {
    const names = source.descriptor.schema.fields.map(({ name }) => name);
    await source.read(names, 0, source.descriptor.rows);
  } finally {
    await source.close();
  }
}

async function errorOf(work: Promise<unknown>): Promise<ColweaveError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ColweaveError)) throw new Error(`not a coded error: ${error}`);
  return error;
}

function made(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('files', () => {
  const cases: [string, string, string, RegExp][] = [
    ['absent', 'fixtures/absent.root', 'source/not-found', /no such file/],
    ['a directory', 'fixtures', 'source/not-readable', /directory/],
    ['Parquet named .root', 'fixtures/hostile_parquet_named.root', 'source/not-root', /looks like Parquet/],
    ['text', made('text.root', Buffer.from('not a root file\n')), 'source/not-root', /looks like text/],
    ['empty', made('empty.root', Buffer.alloc(0)), 'source/not-root', /an empty file/],
    ['a failed download', made('page.root', Buffer.from('<!DOCTYPE html>')), 'source/not-root', /web page/],
    ['four bytes', made('four.root', Buffer.from('root')), 'source/truncated', /4 bytes/],
    ['cut', 'fixtures/hostile_truncated.root', 'source/truncated', /27521 bytes, its header says 45869/],
  ];
  it.each(cases)('%s', async (_, path, code, message) => {
    const error = await errorOf(readAll(path));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.where[0]).toBe(path);
  });
});

describe('trees and columns', () => {
  it('names the trees there are', async () => {
    const error = await errorOf(readAll('fixtures/hostile_two_trees.root'));
    expect(error).toMatchObject({ code: 'source/no-tree', exit: 3 });
    expect(error.message).toContain('Nominal, Systematics');
    const near = await errorOf(readAll('fixtures/hostile_two_trees.root', 'Nominl'));
    expect(near).toMatchObject({ code: 'source/no-tree', near: ['Nominal'] });
  });

  it('takes the only tree there is', async () => {
    await expect(readAll('fixtures/hostile_wrong_tree.root')).resolves.toBeUndefined();
  });

  it('names the nearest columns', async () => {
    const source = await openSource('fixtures/nano_1.root', {});
    const error = await errorOf(source.read(['Jet_ptt'], 0, 1));
    expect(error).toMatchObject({ code: 'source/no-column', where: ['fixtures/nano_1.root', 'Events'] });
    expect(error.near).toContain('Jet_pt');
    await source.close();
  });
});

describe('damage', () => {
  it.each(['hostile_damaged', 'hostile_damaged_lz4', 'hostile_no_codec'])(
    '%s: says branch and basket',
    async (name) => {
      const path = `fixtures/${name}.root`;
      const error = await errorOf(readAll(path));
      expect(error.code).toBe('source/damaged');
      const [file, tree, branch, basket] = error.where;
      expect([file, tree, branch]).toEqual([path, 'Events', 'branch LHEPdfWeight']);
      expect(basket).toMatch(/^basket 0 at byte \d+$/);
    },
  );

  it('still reads the other branches', async () => {
    const source = await openSource('fixtures/hostile_damaged.root', {});
    const [event] = await source.read(['event'], 0, 100);
    expect(event!.length).toBe(100);
    await source.close();
  });

  it('a counter that disagrees with its list', async () => {
    const bytes = readFileSync('fixtures/comp_none.root');
    const source = await openSource('fixtures/comp_none.root', {});
    const layout = source.descriptor.layout as {
      branches: { name: string; basketStart: number }[];
      baskets: { seek: Float64Array };
    };
    await source.close();
    const counter = layout.branches.find(({ name }) => name === 'nJet')!;
    const seek = layout.baskets.seek[counter.basketStart]!;
    const first = seek + bytes.readUInt16BE(seek + 14);
    let row = 0;
    while (bytes.readUInt32BE(first + 4 * row) === bytes.readUInt32BE(first + 4 * row + 4)) row++;
    const [one, two] = [bytes.readUInt32BE(first + 4 * row), bytes.readUInt32BE(first + 4 * row + 4)];
    bytes.writeUInt32BE(two, first + 4 * row); // the sum stays: only the entry offsets tell
    bytes.writeUInt32BE(one, first + 4 * row + 4);
    const error = await errorOf(readAll(made('swapped.root', bytes)));
    expect(error).toMatchObject({ code: 'source/damaged' });
    expect(error.message).toMatch(/starts elsewhere than its counter says/);
    expect(error.where[2]).toMatch(/^branch Jet_/);
  });

  it('a file put in place of another', async () => {
    const path = join(folder, 'replaced.root');
    copyFileSync('fixtures/comp_zlib.root', path);
    const source = await openSource(path, {});
    await source.close();
    copyFileSync('fixtures/comp_old_cs.root', path); // as long as the first
    const same = await reopenSource(source.descriptor);
    await same.close();
    copyFileSync('fixtures/nano_1.root', path);
    expect(await errorOf(reopenSource(source.descriptor))).toMatchObject({ code: 'source/damaged' });
  });

  it('stops when it is cancelled', async () => {
    const source = await openSource('fixtures/nano_1.root', {});
    const cancelled = AbortSignal.abort();
    await expect(source.read(['event'], 0, 100, cancelled)).rejects.toThrow(/abort/i);
    await source.close();
  });
});
