// xz streams: sizes by the stream's own index before anything is unpacked, and the package that may be absent.
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { decompressXz } from '../../src/codec/lzma.ts';
import { ColweaveError } from '../../src/core/errors.ts';

// python: lzma.compress(b"colweave " * 40)
const packed = Buffer.from(
  'fd377a585a000004e6d6b4460200210116000000742fe5a3e0016700125d00319bc9cf3ec5772bd9864f621b24dcc0000000' +
    '0000580bd08d3b095a4400012ee8020000000ef45e4cb1c467fb020000000004595a',
  'hex',
);
const text = 'colweave '.repeat(40);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof ColweaveError ? error.code : String(error);
  }
  return 'no error';
}

function installed(): boolean {
  try {
    createRequire(import.meta.url)('@napi-rs/lzma');
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!installed())('with @napi-rs/lzma', () => {
  it('gives back what was packed', () => {
    expect(Buffer.from(decompressXz(packed, text.length)).toString()).toBe(text);
  });

  it.each([0, text.length - 1, text.length + 1])('refuses %d bytes before unpacking', (size) => {
    expect(codeOf(() => decompressXz(packed, size))).toBe('source/damaged');
  });

  it('refuses a cut stream', () => {
    expect(codeOf(() => decompressXz(packed.subarray(0, 60), text.length))).toBe('source/damaged');
    expect(codeOf(() => decompressXz(new Uint8Array(0), text.length))).toBe('source/damaged');
  });

  it('refuses every flipped byte, or it is one that says nothing of the data', () => {
    let refused = 0;
    for (let at = 0; at < packed.length; at++) {
      const flipped = Buffer.from(packed);
      flipped[at]! ^= 0x55;
      try {
        expect(Buffer.from(decompressXz(flipped, text.length)).toString()).toBe(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'source/damaged' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(packed.length * 0.9);
  });
});

it.skipIf(installed())('says which package is absent', () => {
  expect(codeOf(() => decompressXz(packed, text.length))).toBe('source/not-readable');
});
