// The decoders against encoders that fit on a screen, for shapes that no writer at hand makes.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bitsAt,
  byteCursor,
  decodeBitPackedLevels,
  decodeHybrid,
  decodeLevels,
} from '../../src/source/parquet/bits.ts';
import { decodeDelta, decodeDeltaText } from '../../src/source/parquet/delta.ts';
import { decompressPage } from '../../src/source/parquet/page.ts';

const varint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)];
const zigzag = (value: bigint) => varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
const packed = (values: readonly bigint[], width: number): number[] => {
  const pool = values.reduce((sum, value, i) => sum | (value << BigInt(i * width)), 0n);
  return Array.from({ length: Math.ceil((values.length * width) / 8) }, (_, i) =>
    Number((pool >> BigInt(8 * i)) & 255n),
  );
};

test("LZ4 in Hadoop's frames, one block or more, and bare as older writers put it under the same number", () => {
  const LZ4 = 5;
  // five literals; then four more and a copy of six from nine back, which ends in literals as a block must
  const first = Uint8Array.of(0x50, 1, 2, 3, 4, 5);
  const second = Uint8Array.of(0x42, 6, 7, 8, 9, 4, 0, 0x20, 10, 11);
  const frame = (block: Uint8Array, raw: number) => [0, 0, 0, raw, 0, 0, 0, block.length, ...block];
  const unpacked = [1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 10, 11];
  const two = Uint8Array.of(...frame(first, 5), ...frame(second, 12));
  expect([...decompressPage(LZ4, two, 17)]).toEqual(unpacked);
  expect([...decompressPage(LZ4, Uint8Array.of(...frame(second, 12)), 12)]).toEqual(unpacked.slice(5));
  expect([...decompressPage(LZ4, second, 12)]).toEqual(unpacked.slice(5));
  expect(() => decompressPage(LZ4, two.subarray(0, 20), 17)).toThrow(/LZ4/);
});

test('levels of the encoding BIT_PACKED have their most significant bit first', () => {
  // the example of the specification: 0 to 7 in three bits
  const cursor = byteCursor(Uint8Array.of(0b00000101, 0b00111001, 0b01110111));
  expect([...decodeBitPackedLevels(cursor, 7, 8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(cursor.at).toBe(3);
  expect(() => decodeBitPackedLevels(byteCursor(Uint8Array.of(255)), 2, 4)).toThrow(/level 3 is above 2/);
  expect(() => decodeBitPackedLevels(byteCursor(Uint8Array.of(255)), 7, 4)).toThrow(/over the end/);
});

test('runs and packed groups of every width', () => {
  const run = fc.record({ value: fc.bigInt(0n, 2n ** 32n - 1n), repeat: fc.integer({ min: 1, max: 40 }) });
  const runs = fc.tuple(fc.integer({ min: 1, max: 32 }), fc.array(fc.tuple(run, fc.boolean()), { maxLength: 8 }));
  const check = ([width, parts]: [number, [{ value: bigint; repeat: number }, boolean][]]) => {
    const bytes: number[] = [];
    const values: number[] = [];
    for (const [{ value: any, repeat }, isRun] of parts) {
      const value = any & (2n ** BigInt(width) - 1n);
      if (isRun) bytes.push(...varint(BigInt(repeat) << 1n), ...packed([value], Math.ceil(width / 8) * 8));
      const group = Array.from({ length: 8 }, (_, i) => (value + BigInt(i)) & (2n ** BigInt(width) - 1n));
      if (!isRun) bytes.push(3, ...packed(group, width));
      values.push(...(isRun ? new Array<number>(repeat).fill(Number(value)) : group.map(Number)));
    }
    const out = new Uint32Array(values.length);
    decodeHybrid(byteCursor(Uint8Array.from(bytes)), width, out);
    expect([...out]).toEqual(values);
  };
  fc.assert(fc.property(runs, check), { numRuns: 300 });
});

test('runs that lie are damage', () => {
  const levels = (...bytes: number[]) => decodeLevels(byteCursor(Uint8Array.from(bytes)), 1, 100);
  expect(() => levels(0x14, 2)).toThrow(/more than 1 bits/);
  expect(() => levels(0x14)).toThrow(/over the end/);
  expect(() => levels(0x15, 1)).toThrow(/over the end/);
  expect(() => levels()).toThrow(/over its end/);
  expect(() => levels(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)).toThrow(/too long/);
  expect(() => levels(0, 0, 0, 0)).toThrow(/over (its|the) end/);
});

test('bits are read from anywhere', () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xaa, 0x55, 0xf0, 0x0f);
  const pool = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  for (let bit = 0; bit < 48; bit++) {
    for (let width = 1; width <= Math.min(32, 48 - bit); width++) {
      expect(bitsAt(bytes, bit, width)).toBe(Number((pool >> BigInt(bit)) & (2n ** BigInt(width) - 1n)));
    }
  }
});

test('deltas of any 64-bit integers', () => {
  const values64 = fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { minLength: 1, maxLength: 70 });
  const check = (values: bigint[]) => {
    const deltas = values.slice(1).map((value, i) => BigInt.asIntN(64, value - values[i]!));
    const bytes = [...varint(32n), ...varint(1n), ...varint(BigInt(values.length)), ...zigzag(values[0]!)];
    for (let i = 0; i < deltas.length; i += 32) {
      const block = deltas.slice(i, i + 32);
      const least = block.reduce((left, right) => (left < right ? left : right));
      const rest = block.map((delta) => BigInt.asUintN(64, delta - least));
      const width = Math.max(...rest.map((value) => value.toString(2).length * Number(value > 0n)));
      while (rest.length < 32) rest.push(0n);
      bytes.push(...zigzag(least), width, ...packed(rest, width));
    }
    const words = decodeDelta(byteCursor(Uint8Array.from(bytes)), values.length, 2);
    expect([...new BigInt64Array(words.buffer)]).toEqual(values);
    const low = decodeDelta(byteCursor(Uint8Array.from(bytes)), values.length, 1);
    expect([...low]).toEqual(values.map((value) => Number(BigInt.asUintN(32, value))));
  };
  fc.assert(fc.property(values64, check), { numRuns: 300 });
});

test('delta headers that lie are damage', () => {
  const decode = (bytes: number[], count: number) => decodeDelta(byteCursor(Uint8Array.from(bytes)), count, 2);
  expect(() => decode([128, 1, 4, 5, 0], 6)).toThrow(/5 values, expected 6/);
  expect(() => decode([128, 1, 0, 2, 0], 2)).toThrow(/0 parts/);
  expect(() => decode([128, 1, 4, 2, 0, 0, 65, 0, 0, 0], 2)).toThrow(/65 bits/);
  expect(() => decode([128, 1, 4, 2, 0, 0, 64, 0, 0, 0, 1], 2)).toThrow(/over the end/);
  // the first string cannot have a prefix
  const one = (value: number) => [128, 1, 4, 1, value * 2];
  expect(() => decodeDeltaText(byteCursor(Uint8Array.from([...one(1), ...one(1), 65])), 1)).toThrow(/prefix is longer/);
  expect(() => decodeDeltaText(byteCursor(Uint8Array.from([...one(0), ...one(9), 65])), 1)).toThrow(/over the end/);
});
