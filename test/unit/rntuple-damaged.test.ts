// Damaged RNTuples: a coded error or the right columns, never others; lying descriptions under right checksums end in an error or in rows.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { xxh3 } from '../../src/codec/xxh3.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { openSource } from '../../src/source/registry.ts';
import { parseAnchor } from '../../src/source/rntuple/envelope.ts';
import { digests, fixture, readDigests } from './column-digests.ts';

const expected = readDigests('rntuple-digests.json');
const folder = mkdtempSync(join(tmpdir(), 'colweave-rntuple-'));
const changed = join(folder, 'changed.root');
afterAll(() => rmSync(folder, { recursive: true }));

/** The code of the error, or the sums of the columns. Any other error fails the test. */
async function outcome(bytes: Uint8Array): Promise<string | Record<string, string>> {
  writeFileSync(changed, bytes);
  try {
    const source = await openSource(changed, {});
    try {
      return await digests(source, 50);
    } finally {
      await source.close();
    }
  } catch (cause) {
    if (cause instanceof ColweaveError) return cause.code;
    throw cause;
  }
}

const CODES = /^source\/(damaged|truncated|not-root|no-tree|not-readable|newer-format|too-many-rows)$/;

describe('a file with one byte changed', () => {
  const files = [
    ['rntuple_late.root', 7],
    ['rntuple_representations.root', 11],
    ['rntuple_types_lz4.root', 331],
    ['rntuple_types_none.root', 499],
  ] as const;
  it.each(files)('%s, every %dth byte', async (name, step) => {
    const good = readFileSync(fixture(name));
    for (let at = 0; at < good.length; at += step) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 1 << (at % 8);
      const got = await outcome(bad);
      if (typeof got === 'string') expect(got, `byte ${at}`).toMatch(CODES);
      else expect(got, `byte ${at}`).toEqual(expected[name]);
    }
  });

  it('cut short at every fiftieth of it', async () => {
    const good = readFileSync(fixture('rntuple_types.root'));
    for (let part = 0; part < 50; part++) {
      const got = await outcome(good.subarray(0, Math.floor((good.length * part) / 50)));
      expect(got, `${part} fiftieths`).toMatch(/^source\/(truncated|not-root)$/);
    }
  });
});

/** Ranges of a file that is not compressed: its envelopes. */
function envelopes(file: Buffer): { readonly header: Range; readonly footer: Range; readonly pageLists: Range[] } {
  for (let at = file.indexOf('ROOT::RNTuple'); at >= 0; at = file.indexOf('ROOT::RNTuple', at + 1)) {
    for (let start = at; start < at + 80; start++) {
      try {
        const { header, footer } = parseAnchor(file.subarray(start, start + 78));
        const pageLists = findPageLists(file);
        return { header: rangeOf(header), footer: rangeOf(footer), pageLists };
      } catch (cause) {
        if (!(cause instanceof ColweaveError)) throw cause;
      }
    }
  }
  throw new Error('no anchor');
}

interface Range {
  readonly start: number;
  readonly end: number;
}
const rangeOf = ({ offset, bytes }: { readonly offset: number; readonly bytes: number }): Range => ({
  start: offset,
  end: offset + bytes,
});

/** By what an envelope begins with, its length, and its checksum. */
function findPageLists(file: Buffer): Range[] {
  const found: Range[] = [];
  for (let start = 0; start + 16 < file.length; start++) {
    const length = file.readUIntLE(start + 2, 6);
    if (file.readUInt16LE(start) !== 3 || length < 24 || start + length > file.length) continue;
    const end = start + length;
    if (file.readBigUInt64LE(end - 8) === xxh3(file.subarray(start, end - 8))) found.push({ start, end });
  }
  return found;
}

/** Writes the checksums of an envelope that was changed, and those of the header in all others. */
function reseal(file: Buffer, { header, footer, pageLists }: ReturnType<typeof envelopes>): void {
  const seal = ({ start, end }: Range) => {
    const sum = xxh3(file.subarray(start, end - 8));
    file.writeBigUInt64LE(sum, end - 8);
    return sum;
  };
  const sum = seal(header);
  file.writeBigUInt64LE(sum, footer.start + 16);
  seal(footer);
  for (const list of pageLists) {
    file.writeBigUInt64LE(sum, list.start + 8);
    seal(list);
  }
}

/** A small generator of numbers, the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('a description that lies under right checksums', () => {
  const good = readFileSync(fixture('rntuple_types_none.root'));
  const places = envelopes(good);

  it('has all of its envelopes found', () => {
    expect(places.pageLists).toHaveLength(2);
    const same = Buffer.from(good);
    reseal(same, places);
    expect(same.equals(good)).toBe(true);
  });

  it.each([1, 2, 3])('seed %d: an error or rows, soon and without much memory', async (seed) => {
    const next = numbers(seed);
    const all = [places.header, places.footer, ...places.pageLists];
    for (let round = 0; round < 120; round++) {
      const bad = Buffer.from(good);
      const { start, end } = all[round % all.length]!;
      for (let change = 0; change <= next(3); change++) {
        const at = start + 8 + next(end - start - 16);
        bad[at] = [0, 0xff, 0x7f, 1, 0x80, next(256)][next(6)]!;
      }
      reseal(bad, places);
      const before = performance.now();
      const got = await outcome(bad);
      if (typeof got === 'string') expect(got, `seed ${seed}, round ${round}`).toMatch(/^(source|memory)\//);
      expect(performance.now() - before).toBeLessThan(2000);
    }
  });
});
