// Loops of pages.wat over packed integers and levels: what the loops in TypeScript give, for good streams and for bad ones.
import { expect, it } from 'vitest';
import { levelsKernel, listsKernel, pageRoom, wordsKernel } from '../../src/codec/page-kernels.ts';
import { byteCursor, decodeHybrid } from '../../src/source/parquet/bits.ts';
import { randomOf } from '../mutation/random.ts';

const random = randomOf(7);

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 128))];
}

/** Runs of equal values, and stretches of packed ones: at least `count` integers of `width` bits. */
function hybrid(width: number, count: number): Uint8Array {
  const bytes: number[] = [];
  for (let made = 0; made < count; ) {
    if (random.below(2) === 0) {
      const run = 1 + random.below(300);
      const value = random.below(2 ** width);
      bytes.push(...varint(run * 2), value & 0xff, ...(width > 8 ? [value >> 8] : []));
      made += run;
    } else {
      const groups = 1 + random.below(40);
      bytes.push(...varint(groups * 2 + 1), ...Array.from({ length: groups * width }, () => random.below(256)));
      made += groups * 8;
    }
  }
  return Uint8Array.from(bytes);
}

/** Where the kernels look, behind a few other bytes. */
function placed(bytes: Uint8Array): Uint8Array {
  const page = pageRoom(bytes.length + 3)!;
  page.set([1, 2, 3]);
  page.set(bytes, 3);
  return page;
}

it('levels and their end are those of the loop, whatever the width', () => {
  for (let width = 1; width <= 8; width++) {
    for (const count of [1, 7, 8, 100, 5000]) {
      const bytes = hybrid(width, count);
      const [expected, found] = [new Uint8Array(count), new Uint8Array(count)];
      const cursor = byteCursor(bytes);
      decodeHybrid(cursor, width, expected);
      const ended = levelsKernel({ page: placed(bytes), from: 3, end: 3 + bytes.length, width }, found);
      expect(ended).toBe(cursor.at + 3);
      expect(found).toEqual(expected);
    }
  }
});

it('words of indices are those of the loop, and an index without a word is refused', () => {
  for (let width = 1; width <= 15; width++) {
    const words = Uint32Array.from({ length: 2 ** width }, () => random.below(2 ** 32));
    const bytes = hybrid(width, 3000);
    const indices = new Uint32Array(3000);
    decodeHybrid(byteCursor(bytes), width, indices);
    const part = { page: placed(bytes), from: 3, end: 3 + bytes.length, width };
    const found = new Uint32Array(3000);
    expect(wordsKernel(part, words, found)).toBe(true);
    expect(found).toEqual(indices.map((index) => words[index]!));
    const most = indices.reduce((left, right) => Math.max(left, right));
    expect(wordsKernel(part, words.subarray(0, most + 1), found)).toBe(true);
    expect(wordsKernel(part, words.subarray(0, most), found)).toBe(false);
  }
});

it('streams that end too early are left to the loops, which say why', () => {
  const bytes = hybrid(3, 500);
  for (let length = 0; length < bytes.length - 1; length++) {
    const cut = bytes.subarray(0, length);
    let needed = true;
    try {
      decodeHybrid(byteCursor(cut), 3, new Uint8Array(500));
      needed = false;
    } catch {}
    const part = { page: placed(cut), from: 3, end: 3 + length, width: 3 };
    expect(levelsKernel(part, new Uint8Array(500)) === undefined, `${length} bytes`).toBe(needed);
    expect(wordsKernel(part, new Uint32Array(8), new Uint32Array(500))).toBe(!needed);
  }
  const wide = Uint8Array.of(20, 8); // a run of ten eights, which three bits do not hold
  expect(levelsKernel({ page: placed(wide), from: 3, end: 5, width: 3 }, new Uint8Array(10))).toBe(undefined);
});

it('ends of lists are counted over the borders of turns', () => {
  const lengths = Array.from({ length: 30_000 }, () => Math.max(0, random.below(7) - 1));
  const rep = Uint8Array.from(lengths.flatMap((n) => [0, ...Array(Math.max(0, n - 1)).fill(1)]));
  const def = Uint8Array.from(lengths.flatMap((n) => (n === 0 ? [1] : Array(n).fill(2 + random.below(2)))));
  let end = 0;
  const offsets = Int32Array.from([0, ...lengths.map((n) => (end += n))]);
  const found = new Int32Array(lengths.length + 1);
  expect(listsKernel(rep, def, 2, found)).toBe(true);
  expect(found).toEqual(offsets);
  def[rep.lastIndexOf(1)] = 1;
  expect(listsKernel(rep, def, 2, found)).toBe(false);
});
