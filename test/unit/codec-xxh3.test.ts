// xxh3 and the loops over pages: vectors of the reference program (xxhash 3.6 for Python), and the same with and without WebAssembly.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { joinBytes, pageRoom, spreadBits, withoutKernels } from '../../src/codec/page-kernels.ts';
import { xxh3 } from '../../src/codec/xxh3.ts';

const data = Uint8Array.from({ length: 5000 }, (_, i) => i * 7 + Math.floor(i / 251));
const VECTORS: readonly (readonly [length: number, sum: bigint])[] = [
  [0, 0x2d06800538d394c2n],
  [1, 0xc44bdff4074eecdbn],
  [3, 0xc3489259e968ad9en],
  [4, 0xd3d60c1519014e89n],
  [8, 0xb88dee77f6bf6980n],
  [9, 0x03688dcad730d826n],
  [16, 0x9da23836adf2be1en],
  [17, 0xf34c3c9cf5a112d1n],
  [128, 0x65f3c2c00fa93185n],
  [129, 0x28065c6ec25f5b25n],
  [240, 0x4917a75c0ef8eed7n],
  [241, 0x541b19226f0052e8n],
  [1024, 0xba464919c6bb3ccdn],
  [1025, 0x2aa0034e7827ee42n],
  [5000, 0xe69c7c10fe601e8dn],
];

it.each(VECTORS)('sums %d bytes', (length, sum) => {
  expect(xxh3(data.subarray(0, length))).toBe(sum);
  expect(withoutKernels(() => xxh3(data.subarray(0, length)))).toBe(sum);
});

it('sums more than the kernels take at once, from any place in memory', () => {
  const long = Uint8Array.from({ length: 400_003 }, (_, i) => (i * i) >> 5);
  for (const start of [0, 1, 3]) {
    const part = long.subarray(start);
    expect(xxh3(part)).toBe(withoutKernels(() => xxh3(part)));
  }
});

const page = fc.uint8Array({ minLength: 0, maxLength: 1200 });

it('puts split values together, with zigzag or without, whatever their number', () => {
  const widths = fc.constantFrom(2 as const, 4 as const, 8 as const);
  fc.assert(
    fc.property(page, widths, fc.boolean(), fc.nat(), fc.nat(), fc.boolean(), (bytes, width, zigzag, a, b, here) => {
      const elements = Math.floor(bytes.length / width);
      const [from, to] = [a % (elements + 1), b % (elements + 1)].sort((x, y) => x - y) as [number, number];
      const count = to - from;
      const truth = Array.from({ length: count }, (_, i) => {
        let value = 0n;
        for (let byte = width - 1; byte >= 0; byte--)
          value = (value << 8n) | BigInt(bytes[byte * elements + from + i]!);
        return zigzag ? BigInt.asUintN(8 * width, (value >> 1n) ^ -(value & 1n)) : value;
      });
      const room = here ? pageRoom(bytes.length)! : bytes;
      room.set(bytes);
      const got = new Uint8Array(count * width);
      joinBytes({ page: room, elements, width, zigzag }, from, count, got);
      const plain = new Uint8Array(count * width);
      withoutKernels(() => joinBytes({ page: bytes, elements, width, zigzag }, from, count, plain));
      expect(got).toEqual(plain);
      const view = Buffer.from(got);
      const values = truth.map((_, i) => BigInt(view.readUIntLE(i * width, Math.min(width, 6))));
      expect(values.map((value) => value & 0xffffffffffffn)).toEqual(truth.map((value) => value & 0xffffffffffffn));
      if (width === 8) expect(truth.map((_, i) => view.readBigUInt64LE(8 * i))).toEqual(truth);
    }),
  );
});

it('spreads bits, from any of them', () => {
  fc.assert(
    fc.property(page, fc.nat(), fc.nat(), fc.boolean(), (bytes, a, b, here) => {
      const bits = 8 * bytes.length;
      const [from, to] = [a % (bits + 1), b % (bits + 1)].sort((x, y) => x - y) as [number, number];
      const truth = Uint8Array.from({ length: to - from }, (_, i) => (bytes[(from + i) >> 3]! >> ((from + i) & 7)) & 1);
      const room = here ? pageRoom(bytes.length)! : bytes;
      room.set(bytes);
      const got = new Uint8Array(to - from);
      spreadBits(room, from, to - from, got);
      expect(got).toEqual(truth);
      withoutKernels(() => spreadBits(bytes, from, to - from, got));
      expect(got).toEqual(truth);
    }),
  );
});
