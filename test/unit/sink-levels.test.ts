// Levels, hybrid runs and deltas against references that fit on a screen.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { deltaBytesMax, writeDelta } from '../../src/sink/parquet/delta.ts';
import { bitWidth, hybridBytesMax, writeHybrid } from '../../src/sink/parquet/hybrid.ts';
import { pagingOf } from '../../src/sink/parquet/levels.ts';
import { PAGE_ENTRIES } from '../../src/sink/parquet/paging.ts';

function readVarint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0, i = at; ; i++, shift += 7) {
    value += (bytes[i]! & 0x7f) * 2 ** shift;
    if (bytes[i]! < 0x80) return { value, next: i + 1 };
  }
}

/** Straight from the format page: no trick of the writer is known here. */
function readHybrid(bytes: Uint8Array, width: number, count: number): number[] {
  const out: number[] = [];
  let at = 0;
  while (out.length < count) {
    const { value: header, next } = readVarint(bytes, at);
    at = next;
    if (header % 2 === 0) {
      const value = width > 8 ? bytes[at]! + 256 * bytes[at + 1]! : bytes[at]!;
      at += width > 8 ? 2 : 1;
      for (let i = 0; i < header / 2; i++) out.push(value);
      continue;
    }
    const groups = (header - 1) / 2;
    for (let i = 0; i < groups * 8; i++) {
      let value = 0;
      for (let bit = 0; bit < width; bit++) {
        const position = i * width + bit;
        value |= ((bytes[at + (position >> 3)]! >> (position & 7)) & 1) << bit;
      }
      if (out.length < count) out.push(value);
      else if (value !== 0) throw new Error(`${value} after the last value`);
    }
    at += groups * width;
  }
  expect(at).toBe(bytes.length);
  return out;
}

describe('hybrid runs', () => {
  const runs = fc.array(fc.tuple(fc.nat(70), fc.nat(65_535)), { maxLength: 12 });

  it('give back what was written, at every width, from any start', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), runs, fc.nat(9), (width, shape, start) => {
        const values = Uint16Array.from(shape.flatMap(([length, v]) => new Array<number>(length).fill(v % 2 ** width)));
        const from = Math.min(start, values.length);
        const out = new Uint8Array(hybridBytesMax(values.length - from, width));
        const end = writeHybrid(values, { start: from, end: values.length }, width, out, 0);
        expect(end).toBeLessThanOrEqual(out.length);
        expect(readHybrid(out.subarray(0, end), width, values.length - from)).toEqual([...values.subarray(from)]);
      }),
      { numRuns: 500 },
    );
  });

  it('write a long run in a few bytes', () => {
    const out = new Uint8Array(64);
    expect(writeHybrid(new Uint8Array(100_000).fill(1), { start: 0, end: 100_000 }, 1, out, 0)).toBe(4);
  });

  it.each([
    [0, 1],
    [1, 1],
    [2, 2],
    [255, 8],
    [256, 9],
  ])('bits for numbers up to %i: %i', (max, bits) => {
    expect(bitWidth(max)).toBe(bits);
  });
});

type Row = null | readonly Row[] | 'value';

/** The levels of nested rows by the definition in the Dremel paper: one recursion, nothing shared. */
function referenceLevels(rows: readonly Row[], nullable: boolean): { repetition: number[]; definition: number[] } {
  const repetition: number[] = [];
  const definition: number[] = [];
  const visit = (row: Row, r: number, d: number, depth: number): void => {
    if (row === null || row === 'value' || row.length === 0) {
      repetition.push(r);
      definition.push(d);
      return;
    }
    row.forEach((item, i) => {
      visit(item, i === 0 ? r : depth, d + 1, depth + 1);
    });
  };
  for (const row of rows) visit(row, 0, nullable && row !== null ? 1 : 0, 1);
  return { repetition, definition };
}

function columnOf(rows: readonly Row[], depth: number, nullable: boolean): Column {
  const valid = nullable ? Uint8Array.from(rows, (row) => (row === null ? 0 : 1)) : undefined;
  if (depth === 0) return { ...flatColumn('u8', new Uint8Array(rows.length)), valid };
  const lists = rows.map((row) => (row === null || row === 'value' ? [] : row));
  const offsets = new Int32Array(rows.length + 1);
  lists.forEach((list, i) => {
    offsets[i + 1] = offsets[i]! + list.length;
  });
  return { kind: 'list', length: rows.length, offsets, items: columnOf(lists.flat(), depth - 1, false), valid };
}

const rowArbitrary = (depth: number): fc.Arbitrary<Row> =>
  depth === 0 ? fc.constant('value' as const) : fc.array(rowArbitrary(depth - 1), { maxLength: 4 });

function readLevels(bytes: Uint8Array, widths: readonly number[], count: number): number[][] {
  let at = 0;
  return widths.map((width) => {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
    const levels = readHybrid(bytes.subarray(at + 4, at + 4 + length), width, count);
    at += 4 + length;
    return levels;
  });
}

describe('levels', () => {
  it('are those of the definition, for lists of any depth, empty, and null rows', () => {
    const cases = fc
      .nat(3)
      .chain((depth) =>
        fc.tuple(
          fc.constant(depth),
          fc.array(fc.oneof({ weight: 4, arbitrary: rowArbitrary(depth) }, fc.constant(null)), { maxLength: 40 }),
        ),
      );
    fc.assert(
      fc.property(cases, fc.boolean(), ([depth, drawn], nullable) => {
        const rows = nullable ? drawn : drawn.filter((row) => row !== null);
        const { pages, entries, absent } = pagingOf(columnOf(rows, depth, nullable), nullable, new Map());
        const expected = referenceLevels(rows, nullable);
        expect(entries).toBe(expected.repetition.length);
        const definitionMax = depth + (nullable ? 1 : 0);
        expect(absent).toBe(expected.definition.filter((level) => level !== definitionMax).length);
        expect(pages).toHaveLength(rows.length === 0 ? 0 : 1);
        if (rows.length === 0) return;
        const widths = [
          ...(depth > 0 ? [bitWidth(depth)] : []),
          ...(definitionMax > 0 ? [bitWidth(definitionMax)] : []),
        ];
        const levels = readLevels(pages[0]!.levels, widths, entries);
        if (depth > 0) expect(levels.shift()).toEqual(expected.repetition);
        if (definitionMax > 0) expect(levels.shift()).toEqual(expected.definition);
      }),
      { numRuns: 400 },
    );
  });

  it('are built once for columns that share their offsets, and never shared across null maps', () => {
    const offsets = Int32Array.of(0, 2, 2);
    const list = (valid?: Uint8Array): Column => ({
      kind: 'list',
      length: 2,
      offsets,
      items: flatColumn('f32', new Float32Array(2)),
      valid,
    });
    const cache = new Map();
    const first = pagingOf(list(), false, cache);
    expect(pagingOf(list(), false, cache)).toBe(first);
    expect(pagingOf(list(), true, cache)).not.toBe(first);
    const nulls = pagingOf(list(Uint8Array.of(1, 0)), true, cache);
    expect(nulls.pages[0]!.levels).not.toEqual(pagingOf(list(), true, cache).pages[0]!.levels);
  });

  it('end pages at rows, each with the values of its own rows', () => {
    const rows = 100_000;
    const offsets = Int32Array.from({ length: rows + 1 }, (_, i) => 7 * i);
    const items = flatColumn('u8', new Uint8Array(7 * rows));
    const { pages } = pagingOf({ kind: 'list', length: rows, offsets, items }, false, new Map());
    expect(pages.length).toBe(Math.ceil((7 * rows) / PAGE_ENTRIES));
    let value = 0;
    for (const page of pages) {
      expect(page.valueStart).toBe(value);
      expect(page.entries % 7).toBe(0);
      value = page.valueEnd;
    }
    expect(value).toBe(7 * rows);
  });

  it.each([false, true])('of long columns are those of the definition on every page (nullable: %s)', (nullable) => {
    const rows = Array.from({ length: 150_000 }, (_, i): Row => {
      if (nullable && i % 11 === 5) return null;
      // The last third has one item in each row: one run says all of its repetition levels.
      return new Array<Row>(i > 100_000 ? 1 : (i * 7919) % 9).fill('value');
    });
    const expected = referenceLevels(rows, nullable);
    const { pages } = pagingOf(columnOf(rows, 1, nullable), nullable, new Map());
    expect(pages.length).toBeGreaterThan(1);
    let start = 0;
    for (const { entries, levels, valueStart, valueEnd } of pages) {
      const [repetition, definition] = readLevels(levels, [1, nullable ? 2 : 1], entries);
      expect(
        Buffer.compare(Buffer.from(repetition!), Buffer.from(expected.repetition.slice(start, start + entries))),
      ).toBe(0);
      expect(
        Buffer.compare(Buffer.from(definition!), Buffer.from(expected.definition.slice(start, start + entries))),
      ).toBe(0);
      expect(valueEnd - valueStart).toBe(definition!.filter((level) => level === (nullable ? 2 : 1)).length);
      expect(expected.repetition[start]).toBe(0);
      start += entries;
    }
    expect(start).toBe(expected.repetition.length);
  });

  it('end pages of strings by their bytes too', () => {
    const length = 40;
    const offsets = Int32Array.from({ length: length + 1 }, (_, i) => i * 100_000);
    const column: Column = { kind: 'utf8', length, offsets, bytes: new Uint8Array(length * 100_000) };
    expect(pagingOf(column, false, new Map()).pages.map(({ entries }) => entries)).toEqual([11, 11, 11, 7]);
  });
});

/** DELTA_BINARY_PACKED by the format page, in BigInt. */
function readDelta(bytes: Uint8Array, bits: 32 | 64): bigint[] {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const zigzag = () => {
    const value = varint();
    return (value >> 1n) ^ -(value & 1n);
  };
  const blockValues = Number(varint());
  const miniblocks = Number(varint());
  const count = Number(varint());
  let last = zigzag();
  const out = [BigInt.asUintN(bits, last)];
  while (out.length < count) {
    const min = zigzag();
    const widths = [...bytes.subarray(at, at + miniblocks)];
    at += miniblocks;
    for (const width of widths) {
      if (out.length >= count) continue;
      const size = blockValues / miniblocks;
      for (let i = 0; i < size; i++) {
        let packed = 0n;
        for (let bit = 0; bit < width; bit++) {
          const position = i * width + bit;
          packed |= BigInt((bytes[at + (position >> 3)]! >> (position & 7)) & 1) << BigInt(bit);
        }
        if (out.length >= count) continue;
        last += min + packed;
        out.push(BigInt.asUintN(bits, last));
      }
      at += (size * width) / 8;
    }
  }
  expect(at).toBe(bytes.length);
  return out.slice(0, count);
}

describe('deltas', () => {
  const edges = [
    0n,
    1n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n + 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ];
  const near = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(300)).chain(([from, length]) =>
    fc.array(fc.nat(1000), { minLength: length, maxLength: length }).map((steps) => {
      let value = from;
      return steps.map((step) => {
        value += BigInt(step);
        return value;
      });
    }),
  );
  const far = fc.array(fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), {
    maxLength: 300,
  });

  it.each([
    ['32', 32, Uint32Array],
    ['64', 64, BigUint64Array],
  ] as const)('of %s bits give back any values, also where differences wrap around', (_, bits, make) => {
    fc.assert(
      fc.property(fc.oneof(near, far), (drawn) => {
        const wrapped = drawn.map((value) => BigInt.asUintN(bits, value));
        const values = make === Uint32Array ? Uint32Array.from(wrapped, Number) : BigUint64Array.from(wrapped);
        const words = new Uint32Array(values.buffer);
        const out = new Uint8Array(deltaBytesMax(values.length, bits === 64 ? 8 : 4));
        const end = writeDelta(words, { start: 0, end: values.length, wide: bits === 64 }, out, 0);
        expect(end).toBeLessThanOrEqual(out.length);
        if (values.length > 0) expect(readDelta(out.subarray(0, end), bits)).toEqual(wrapped);
      }),
      { numRuns: 200 },
    );
  });
});
