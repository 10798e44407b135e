// LZMA2 by its symbols: any of them in any order come out as a plain reading of them says; what must not be is refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeLzma2 } from '../../src/codec/lzma2.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { type LzmaOptions, type LzmaSymbol, lzmaEncoder, type Reset } from './lzma-encoder.ts';

/** What follows the chunks in a stream. */
const END = [0, 0, 0, 0, 0, 0, 0, 0];

function decode(chunks: readonly number[], bytes: number): Uint8Array {
  const target = new Uint8Array(bytes);
  decodeLzma2(Uint8Array.from([...chunks, ...END]), 0, target);
  return target;
}
function refusal(chunks: readonly number[], bytes: number): string {
  try {
    decode(chunks, bytes);
  } catch (error) {
    return error instanceof ColweaveError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'not refused';
}

const options: fc.Arbitrary<LzmaOptions> = fc
  .tuple(fc.nat(4), fc.nat(4), fc.nat(4))
  .map(([lc, lp, pb]) => ({ lc, lp: Math.min(lp, 4 - lc), pb }));

/** Fractions stand for distances until it is known how many bytes there are: a power, so that near ones are usual. */
const symbol = fc.oneof(
  { weight: 3, arbitrary: fc.record({ literal: fc.oneof(fc.nat(255), fc.constantFrom(0, 255, 65)) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      length: fc.integer({ min: 2, max: 273 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      length: fc.integer({ min: 2, max: 20 }),
      part: fc.double({ min: 0, max: 0.3, noNaN: true }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ length: fc.integer({ min: 2, max: 30 }), age: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ length: 1, age: 0 }) },
);
const part = fc.record({
  symbols: fc.array(symbol, { minLength: 1, maxLength: 60, size: 'max' }),
  reset: fc.constantFrom<Reset | 'stored' | 'stored, reset'>(
    ...(['none', 'none', 'state', 'properties', 'dictionary', 'stored', 'stored, reset'] as const),
  ),
  options,
});

/** Chunks of these parts, the first of which resets all; a distance of more than there is becomes a literal. */
function encode(parts: readonly (typeof part extends fc.Arbitrary<infer Part> ? Part : never)[]) {
  const encoder = lzmaEncoder();
  const chunks: number[] = [];
  let needs: Reset = 'dictionary';
  for (const { symbols, reset: wanted, options } of parts) {
    if (wanted.startsWith('stored')) {
      const isReset = needs === 'dictionary' || wanted === 'stored, reset';
      chunks.push(
        ...encoder.stored(
          symbols.map((_, i) => (i * 37) & 255),
          isReset,
        ),
      );
      if (isReset) needs = 'properties';
      continue;
    }
    const reset =
      needs === 'none' ? (wanted as Reset) : needs === 'properties' && wanted === 'dictionary' ? wanted : needs;
    let place = reset === 'dictionary' ? 0 : encoder.place();
    let known = reset === 'none' ? encoder.distances() : [1, 1, 1, 1];
    const sound = symbols.map((one): LzmaSymbol => {
      const length = 'length' in one ? one.length : 1;
      const distance = 'part' in one ? 1 + Math.floor((place - 1) * one.part ** 3) : 'age' in one ? known[one.age]! : 0;
      if (distance > place || place === 0) {
        place++;
        return { literal: 'literal' in one ? one.literal : 7 };
      }
      place += length;
      if ('literal' in one) return one;
      known = [distance, ...('age' in one ? known.filter((_, age) => age !== one.age) : known.slice(0, 3))];
      return 'age' in one ? { length, age: one.age } : { length, distance };
    });
    chunks.push(...encoder.chunk(sound, reset, options));
    needs = 'none';
  }
  return { chunks, plain: encoder.plain() };
}

describe('LZMA2 by its symbols', () => {
  it('gives back any symbols in any chunks', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const { chunks, plain } = encode(parts);
        expect(Buffer.compare(decode(chunks, plain.length), plain)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('gives back a byte of the last distance after a match, and far ones', () => {
    const encoder = lzmaEncoder();
    const symbols: LzmaSymbol[] = [
      ...Array.from({ length: 300 }, (_, i) => ({ literal: (i * 7) & 255 })),
      ...[3, 300, 17, 130, 200].map((distance) => ({ length: 273, distance })),
      { length: 2, distance: 1500 },
      { length: 1, age: 0 },
      { length: 1, age: 0 },
      { literal: 1 },
      { length: 1, age: 0 },
      { literal: 2 },
      { length: 9, age: 3 },
    ];
    const chunks = encoder.chunk(symbols, 'dictionary');
    expect(decode(chunks, encoder.plain().length)).toEqual(encoder.plain());
  });

  const start: LzmaSymbol[] = [{ literal: 1 }, { literal: 2 }, { literal: 3 }];

  it.each([0, 1, 700])('takes no match from before the dictionary, with %d bytes there', (before) => {
    const ofDistance = (distance: number) => {
      const encoder = lzmaEncoder();
      const first = before > 0 ? encoder.stored(Array(before).fill(9), true) : [];
      const chunks = [...first, ...encoder.chunk([...start, { length: 2, distance }], 'dictionary')];
      return { chunks, bytes: encoder.plain().length };
    };
    const last = ofDistance(3);
    expect([...decode(last.chunks, last.bytes).slice(before)]).toEqual([1, 2, 3, 1, 2]);
    for (const distance of [4, 5, before + 4, 2 ** 31, 2 ** 32]) {
      const { chunks, bytes } = ofDistance(distance);
      expect(refusal(chunks, bytes)).toContain('source/damaged: an xz stream is damaged: a match leads out of it');
    }
  });

  it('takes no match, and no repeat, as the very first symbol', () => {
    for (const one of [
      { length: 2, distance: 1 },
      { length: 2, age: 0 },
      { length: 1, age: 0 },
      { length: 2, age: 3 },
    ]) {
      const chunks = lzmaEncoder().chunk([one], 'dictionary');
      expect(refusal(chunks, one.length)).toContain('a match leads out of it');
    }
  });

  it('takes no match that goes on after its chunk', () => {
    const encoder = lzmaEncoder();
    const chunks = encoder.chunk([...start, { length: 20, distance: 2 }], 'dictionary');
    const size = encoder.plain().length;
    expect(refusal(chunks, size)).toBe('not refused');
    for (const less of [1, 2, 19]) {
      expect(refusal(chunks.with(2, size - 1 - less), size - less)).toContain('a match leads out of it');
    }
  });

  it('takes no chunk whose range coder does not end where the chunk does', () => {
    const encoder = lzmaEncoder();
    const chunks = encoder.chunk([...start, { length: 20, distance: 2 }], 'dictionary');
    const size = encoder.plain().length;
    const stored = (chunks[3]! << 8) | chunks[4]!;
    const longer = [...chunks.with(4, stored + 1), 0];
    const shorter = chunks.with(4, stored - 1).slice(0, -1);
    const rest = chunks.with(-1, chunks.at(-1)! ^ 1);
    for (const bad of [longer, shorter, rest])
      expect(refusal(bad, size)).toContain('a chunk does not end where it should');
  });

  it('reads no symbol from behind a chunk', () => {
    const encoder = lzmaEncoder();
    const chunks = encoder.chunk(
      Array.from({ length: 200 }, (_, i) => ({ literal: (i * 89) & 255 })),
      'dictionary',
    );
    const cut = [...chunks.with(3, 0).with(4, 9), 0];
    expect(refusal(cut.slice(0, 6 + 10), 200)).toContain('a chunk is too short');
  });

  it('takes no chunk without the start of a range coder', () => {
    const encoder = lzmaEncoder();
    const chunks = encoder.chunk(start, 'dictionary');
    expect(refusal(chunks.with(6, 1), 3)).toContain('a chunk has no start');
    expect(refusal([...chunks.with(4, 3).slice(0, 6), 0, 0, 0, 0], 3)).toContain('a chunk has no start');
  });
});
