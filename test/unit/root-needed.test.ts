// Late materialisation: a basket that holds no row whose values are looked at is neither read nor decompressed.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { sliceColumn } from '../../src/core/column.ts';
import { openSource } from '../../src/source/registry.ts';
import type { RootLayout } from '../../src/source/root/layout.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-needed-'));
afterAll(() => rmSync(folder, { recursive: true }));
const FILE = new URL('../../fixtures/many_baskets.root', import.meta.url).pathname;

/** Values of the rows that a mask names, as text. */
function rowsOf(column: Column, needed: Uint8Array): string[] {
  const text = (one: Column): unknown =>
    one.kind === 'list'
      ? text(one.items)
      : one.kind === 'flat'
        ? Array.from(one.values as Int32Array, String)
        : one.bytes;
  return [...needed.keys()]
    .filter((row) => needed[row] === 1)
    .map((row) => JSON.stringify(text(sliceColumn(column, row, row + 1))));
}

describe('rows that are needed', () => {
  it('are right, whichever they are, in every column', async () => {
    const file = await openSource(FILE, {});
    const names = file.descriptor.schema.fields.map((field) => field.name);
    const { rows } = file.descriptor;
    const whole = await file.read(names, 0, rows);
    for (const step of [1, 7, 97, rows + 1]) {
      const needed = Uint8Array.from({ length: rows }, (_, row) => (row % step === step >> 1 ? 1 : 0));
      const some = await file.read(names, 0, rows, undefined, undefined, needed);
      names.forEach((name, c) => {
        expect(rowsOf(some[c]!, needed), name).toEqual(rowsOf(whole[c]!, needed));
      });
    }
    await file.close();
  });

  it('are read where another basket of the branch is damaged', async () => {
    const path = join(folder, 'damaged.root');
    copyFileSync(FILE, path);
    const file = await openSource(FILE, {});
    const { branches, baskets } = file.descriptor.layout as RootLayout;
    const branch = branches.find((one) => one.kind === 'number' && one.basketEnd - one.basketStart > 4)!;
    const bad = branch.basketStart + 2;
    const bytes = readFileSync(path);
    bytes.fill(0xff, baskets.seek[bad]! + 40, baskets.seek[bad]! + baskets.bytes[bad]!);
    writeFileSync(path, bytes);
    const damaged = await openSource(path, {});
    const { rows } = file.descriptor;
    await expect(damaged.read([branch.name], 0, rows)).rejects.toMatchObject({ code: 'source/damaged' });
    const needed = Uint8Array.from({ length: rows }, (_, row) =>
      row >= baskets.rowStart[bad]! && row < baskets.rowEnd[bad]! ? 0 : 1,
    );
    const [some] = await damaged.read([branch.name], 0, rows, undefined, undefined, needed);
    const [whole] = await file.read([branch.name], 0, rows);
    expect(rowsOf(some!, needed)).toEqual(rowsOf(whole!, needed));
    await Promise.all([file.close(), damaged.close()]);
  });
});
