// The LZ4 block decoder and xxh64: vectors of the reference programs, and every damage a coded error.
import { expect, it } from 'vitest';
import { decompressLz4Block } from '../../src/codec/lz4.ts';
import { xxh64Equals, xxh64Hex } from '../../src/codec/xxhash.ts';
import { ColweaveError } from '../../src/core/errors.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const text = (block: Uint8Array, size: number) => Buffer.from(decompressLz4Block(block, size)).toString('latin1');
const letters = (value: string) => [...Buffer.from(value, 'latin1')];

it('decodes literals, matches, and matches that overlap themselves', () => {
  expect(text(bytes(0x30, ...letters('abc')), 3)).toBe('abc');
  // 4 literals, then 4 + 4 bytes from 4 back, then the last literals
  expect(text(bytes(0x44, ...letters('abcd'), 4, 0, 0x10, ...letters('z')), 13)).toBe('abcdabcdabcdz');
  // one literal repeated 4 + 15 + 6 times
  expect(text(bytes(0x1f, ...letters('x'), 1, 0, 6, 0x10, ...letters('!')), 27)).toBe(`${'x'.repeat(26)}!`);
});

it('decodes long lengths and long matches', () => {
  const literals = Array.from({ length: 15 + 255 + 30 }, (_, i) => i & 255);
  const block = bytes(0xff, 255, 30, ...literals, 44, 1, 255, 26, 0x00); // match of 300 from 300 back: 4 + 15 + 255 + 26
  const out = decompressLz4Block(block, 600);
  expect([...out.subarray(0, 300)]).toEqual(literals);
  expect([...out.subarray(300)]).toEqual(literals);
});

const bad: [string, Uint8Array, number][] = [
  ['a match before the start', bytes(0x14, 1, 2, 0, 0x10, 9), 10],
  ['a match at distance 0', bytes(0x14, 1, 0, 0, 0x10, 9), 10],
  ['literals beyond the block', bytes(0x50, 1, 2), 5],
  ['literals beyond the size', bytes(0x30, 1, 2, 3), 2],
  ['a match beyond the size', bytes(0x1f, 1, 1, 0, 255, 255, 0, 0x00), 20],
  ['a length that does not end', bytes(0xf0, 255, 255), 600],
  ['a match length that does not end', bytes(0x1f, 1, 1, 0, 255), 600],
  ['half an offset', bytes(0x10, 1, 1), 5],
  ['too few bytes', bytes(0x30, 1, 2, 3), 4],
  ['nothing', bytes(), 1],
];
it.each(bad)('refuses %s', (_, block, size) => {
  expect(() => decompressLz4Block(block, size)).toThrow(ColweaveError);
});

it('makes no error but a coded one of random bytes', () => {
  let seed = 1;
  for (let round = 0; round < 2000; round++) {
    const block = new Uint8Array(40).map(() => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    });
    try {
      decompressLz4Block(block, 300);
    } catch (error) {
      expect(error).toBeInstanceOf(ColweaveError);
    }
  }
});

// xxhash 0.8 (python) of bytes (7 i + i >> 3) mod 256
const hashes: [number, string][] = [
  [0, 'ef46db3751d8e999'],
  [1, 'e934a84adb052768'],
  [3, '9ff70a635a6209ab'],
  [4, 'ae5acdc00a55ac41'],
  [5, '8ad58ce18a6fd093'],
  [8, '87116b3365b924eb'],
  [13, 'ae4e8b517fc3944f'],
  [31, 'f78c1ce7c4912b21'],
  [32, '613ab3aebca0263c'],
  [33, 'd91e0b8c7b5408af'],
  [63, 'a8a1d81db5cbee19'],
  [64, 'd1ffe5fb5b260ea6'],
  [100, 'c926db22d743d033'],
  [999, '2446c16f15f82514'],
];
it.each(hashes)('hashes %d bytes as xxh64 does', (length, expected) => {
  const data = Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 3));
  expect(xxh64Hex(data)).toBe(expected);
  expect(xxh64Equals(data, Buffer.from(expected, 'hex'))).toBe(true);
  expect(xxh64Equals(data, Buffer.from(expected, 'hex').reverse())).toBe(false);
});
