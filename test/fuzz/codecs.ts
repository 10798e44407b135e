// Owns the codecs as subjects of their own: compressed samples, decoded to the size that was compressed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { decompressLz4Block } from '../../src/codec/lz4.ts';
import { decompressXz } from '../../src/codec/lzma.ts';
import { compressSnappy } from '../../src/codec/snappy.ts';
import { inflateRaw, inflateZlib, inflateZlibInto } from '../../src/codec/zlib.ts';
import { decompressZstd } from '../../src/codec/zstd.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { decompressLz4Frame } from '../../src/source/arrow/lz4-frame.ts';
import { decompressPage } from '../../src/source/parquet/page.ts';
import { unpackObject } from '../../src/source/root/blocks.ts';
import { GENERIC_MUTATIONS, type Range } from './mutate.ts';
import { recordsOf } from './mutate-root.ts';
import type { Reading } from './observe.ts';
import { randomOf } from './random.ts';
import type { Subject } from './subjects.ts';

interface Sample {
  readonly codec: string;
  readonly packed: Buffer;
  readonly unpack: (bytes: Uint8Array) => Uint8Array;
  /** The format has a checksum over what it holds. */
  readonly checked: boolean;
}

const fixture = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url));

/** Text, runs, noise and small numbers: something for every kind of token. */
function rawSample(): Buffer {
  const random = randomOf('codec sample');
  const noise = Buffer.from(Array.from({ length: 3000 }, () => random.below(256)));
  const small = Buffer.from(new Float32Array(1500).map((_, i) => Math.fround(i / 7 + random.below(3))).buffer);
  return Buffer.concat([Buffer.alloc(5000, 7), noise, Buffer.from('HLT_IsoMu24 '.repeat(300)), small]);
}

/** The block of a ROOT fixture that holds most, with the size that it says. */
function rootBlock(path: string): { readonly data: Buffer; readonly whole: Buffer; readonly size: number } {
  const bytes = fixture(path);
  const blocks = recordsOf(bytes)
    .filter((record) => record.bytes - record.keyBytes < record.objectBytes)
    .map(({ at, keyBytes }) => at + keyBytes)
    .sort((left, right) => bytes.readUIntLE(right + 6, 3) - bytes.readUIntLE(left + 6, 3));
  const at = blocks[0]!;
  const whole = bytes.subarray(at, at + 9 + bytes.readUIntLE(at + 3, 3));
  return { data: whole.subarray(9), whole, size: bytes.readUIntLE(at + 6, 3) };
}

function lz4Frame(): { readonly data: Buffer; readonly size: number } {
  const bytes = fixture('test/unit/parquet-fixtures/feather.arrow');
  const at = bytes.indexOf(Buffer.of(0x04, 0x22, 0x4d, 0x18));
  // its length is that of the buffer less 8 bytes, but a frame knows its own end
  return { data: bytes.subarray(at, at + 600), size: Number(bytes.readBigInt64LE(at - 8)) };
}

function samples(): Sample[] {
  const raw = rawSample();
  const size = raw.length;
  const lz4 = rootBlock('fixtures/comp_lz4.root');
  const frame = lz4Frame();
  const xz = rootBlock('fixtures/comp_lzma.root');
  const packed = (bytes: Uint8Array) => Buffer.from(bytes);
  const into = (bytes: Uint8Array) => {
    const target = new Uint8Array(size);
    inflateZlibInto(bytes, target);
    return target;
  };
  const page = (codec: number) => (bytes: Uint8Array) => decompressPage(codec, bytes, size);
  return [
    { codec: 'zstd', packed: packed(zstdCompressSync(raw)), unpack: (b) => decompressZstd(b, size), checked: false },
    { codec: 'zlib', packed: packed(deflateSync(raw)), unpack: (b) => inflateZlib(b, size), checked: true },
    { codec: 'zlib-into', packed: packed(deflateSync(raw)), unpack: into, checked: true },
    { codec: 'deflate', packed: packed(deflateRawSync(raw)), unpack: (b) => inflateRaw(b, size), checked: false },
    { codec: 'gzip', packed: packed(gzipSync(raw)), unpack: page(2), checked: true },
    { codec: 'snappy', packed: packed(compressSnappy(raw)), unpack: page(1), checked: false },
    { codec: 'brotli', packed: packed(brotliCompressSync(raw)), unpack: page(4), checked: false },
    { codec: 'lz4', packed: lz4.data.subarray(8), unpack: (b) => decompressLz4Block(b, lz4.size), checked: false },
    {
      codec: 'lz4-hadoop',
      packed: lz4.data.subarray(8),
      unpack: (b) => decompressPage(5, b, lz4.size),
      checked: false,
    },
    { codec: 'lz4-frame', packed: frame.data, unpack: (b) => decompressLz4Frame(b, frame.size), checked: false },
    { codec: 'xz', packed: xz.data, unpack: (b) => decompressXz(b, xz.size), checked: true },
    { codec: 'root-lz4', packed: lz4.whole, unpack: (b) => unpackObject(b, lz4.size), checked: false },
  ];
}

export function codecSubjects(): readonly Subject[] {
  return samples().map(({ codec, packed, unpack, checked }): Subject => {
    const guarded: readonly Range[] = checked ? [{ start: 0, end: packed.length }] : [];
    return {
      name: `codec/${codec}`,
      reader: `codec ${codec}`,
      bytes: packed,
      mutations: GENERIC_MUTATIONS,
      read: async (bytes) => readingOf(() => unpack(bytes)),
      guarded,
      weight: 1,
    };
  });
}

function readingOf(unpack: () => Uint8Array): Reading {
  try {
    const digest = createHash('sha1').update(unpack()).digest('hex');
    return { columns: new Map([['bytes', digest]]), errors: [], refused: [] };
  } catch (error) {
    if (!(error instanceof ColweaveError && error.code.startsWith('source/'))) throw error;
    return { error: error.code, columns: new Map(), errors: [], refused: [] };
  }
}
