// Snappy blocks: round trips, blocks of the reference's making, and damage that must end in a RangeError.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compressSnappy, decompressSnappy, snappyBytesMax } from '../../src/codec/snappy.ts';

const repeating = (length: number, period: number) => Uint8Array.from({ length }, (_, i) => (i % period) * 7);
const noise = (length: number) => {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223;
    return state >>> 24;
  });
};

describe('snappy', () => {
  it.each([
    ['nothing', new Uint8Array(0)],
    ['one byte', Uint8Array.of(7)],
    ['a long run', new Uint8Array(300_000)],
    ['a short period', repeating(200_001, 3)],
    ['a period beyond near copies', repeating(200_000, 5000)],
    ['noise over the block size', noise(65_537 * 2)],
    ['noise, then a run', Uint8Array.from([...noise(70_000), ...new Uint8Array(70_000)])],
  ])('gives back %s', (_, bytes) => {
    const packed = compressSnappy(bytes);
    expect(packed.length).toBeLessThanOrEqual(snappyBytesMax(bytes.length));
    expect(decompressSnappy(packed, bytes.length)).toEqual(bytes);
  });

  it('gives back any bytes', () => {
    const few = fc.uint8Array({ maxLength: 4000, max: 3 });
    const any = fc.uint8Array({ maxLength: 4000 });
    fc.assert(
      fc.property(fc.oneof(few, any), (bytes) => {
        expect(decompressSnappy(compressSnappy(bytes), bytes.length)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('compresses what repeats', () => {
    expect(compressSnappy(new Uint8Array(1 << 20)).length).toBeLessThan(60_000);
  });

  it('reads every kind of tag', () => {
    // length 24; literal "abcd"; 1-byte-offset copy of 4 from 4; 2-byte-offset copy of 8 from 8; 4-byte-offset copy of 8 from 16
    const block = Uint8Array.of(24, 12, 97, 98, 99, 100, 1, 4, 0x1e, 8, 0, 0x1f, 16, 0, 0, 0);
    expect(new TextDecoder().decode(decompressSnappy(block, 24))).toBe('abcd'.repeat(6));
  });

  it('ends in a RangeError when cut short, flipped or of another length', () => {
    const bytes = repeating(5000, 97);
    const packed = compressSnappy(bytes);
    for (let cut = 0; cut < packed.length; cut++) {
      expect(() => decompressSnappy(packed.subarray(0, cut), bytes.length)).toThrow(RangeError);
    }
    expect(() => decompressSnappy(packed, bytes.length + 1)).toThrow(RangeError);
    for (let i = 0; i < packed.length; i++) {
      const flipped = packed.slice();
      flipped[i]! ^= 0xff;
      try {
        expect(decompressSnappy(flipped, bytes.length)).toHaveLength(bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  });
});
