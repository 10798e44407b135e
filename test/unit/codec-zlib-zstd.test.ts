// zstd and the three wrappings of deflate: round trips, and exact sizes whatever the data say.
import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compressGzip, decompressGzip, inflateRaw, inflateZlib, inflateZlibInto } from '../../src/codec/zlib.ts';
import { compressZstd, decompressZstd } from '../../src/codec/zstd.ts';
import { ColweaveError } from '../../src/core/errors.ts';

const data = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >> 7);
const codecs = [
  { name: 'zstd', packed: compressZstd(data, 1), unpack: decompressZstd },
  { name: 'zlib', packed: deflateSync(data), unpack: inflateZlib },
  { name: 'zlib, context used again', packed: deflateSync(data), unpack: intoNew },
  { name: 'raw deflate', packed: deflateRawSync(data), unpack: inflateRaw },
  { name: 'gzip', packed: compressGzip(data, 6), unpack: decompressGzip },
];

function intoNew(source: Uint8Array, size: number): Uint8Array {
  const target = new Uint8Array(size);
  inflateZlibInto(source, target);
  return target;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof ColweaveError ? error.code : String(error);
  }
  return 'no error';
}

describe.each(codecs)('$name', ({ packed, unpack }) => {
  it('gives back what was packed', () => {
    expect(Buffer.from(unpack(packed, data.length)).equals(data)).toBe(true);
  });

  it.each([0, 1, data.length - 1, data.length + 1])('refuses %d bytes', (size) => {
    expect(codeOf(() => unpack(packed, size))).toBe('source/damaged');
  });

  it('refuses data that are cut or are something else', () => {
    expect(codeOf(() => unpack(packed.subarray(0, packed.length >> 1), data.length))).toBe('source/damaged');
    expect(codeOf(() => unpack(new Uint8Array(30).fill(7), data.length))).toBe('source/damaged');
    expect(codeOf(() => unpack(new Uint8Array(0), data.length))).toBe('source/damaged');
  });
});

it('inflates right after damaged data, whose checksum it compares', () => {
  const packed = deflateSync(data);
  const flipped = Buffer.from(packed);
  flipped[flipped.length - 1]! ^= 1;
  expect(codeOf(() => intoNew(flipped, data.length))).toBe('source/damaged');
  expect(Buffer.from(intoNew(packed, data.length)).equals(data)).toBe(true);
  expect(codeOf(() => intoNew(packed, data.length - 1))).toBe('source/damaged');
  expect(Buffer.from(intoNew(packed, data.length)).equals(data)).toBe(true);
});

it('packs nothing into something that unpacks to nothing', () => {
  expect(decompressZstd(compressZstd(new Uint8Array(0), 1), 0)).toHaveLength(0);
  expect(decompressGzip(compressGzip(new Uint8Array(0), 6), 0)).toHaveLength(0);
});

it('packs the same bytes each time', () => {
  expect(Buffer.from(compressZstd(data, 3)).equals(compressZstd(data, 3))).toBe(true);
  expect(Buffer.from(compressGzip(data, 6)).equals(compressGzip(data, 6))).toBe(true);
});
