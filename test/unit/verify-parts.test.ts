// The parts of verify, each against a version that is plain to see.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import type { KeyTable } from '../../src/core/key-spec.ts';
import { canonicalJson } from '../../src/core/receipt.ts';
import { sortRows } from '../../src/verify/key-order.ts';
import { addLumis, compareLumis, expandLumis, type LumiEvents, lumiOf, totalEvents } from '../../src/verify/lumi.ts';
import { readReceipt } from '../../src/verify/receipt-shape.ts';
import { sameRow, valueText } from '../../src/verify/same-value.ts';
import { invertRows, mergeRows, repeatedRows, sameKeys, sortKeys } from '../../src/verify/sort-merge.ts';

type Key = readonly [run: number, lumi: number, event: bigint];

function tableOf(keys: readonly Key[]): KeyTable {
  const words = new Uint32Array(keys.length * 4);
  keys.forEach(([run, lumi, event], i) => {
    words.set([run, lumi, Number(event & 0xffffffffn), Number(event >> 32n)], 4 * i);
  });
  const columns = [
    { name: 'run', words: 1 },
    { name: 'luminosityBlock', words: 1 },
    { name: 'event', words: 2 },
  ] as const;
  return { spec: { name: 'cms', columns }, rows: keys.length, stride: 4, words };
}

/** Few values and the edges of 32, 53 and 64 bits, so that keys meet. */
const key = fc.tuple(
  fc.constantFrom(1, 2, 0xffffffff),
  fc.constantFrom(1, 2, 0x10000),
  fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n),
);
const keys = fc.array(key, { maxLength: 40 });
const text = (parts: Key) => parts.join(':');

/** Words as the table holds them: of the event the low one comes first. */
function compareParts(left: Key, right: Key): number {
  const words = ([run, lumi, event]: Key) => [BigInt(run), BigInt(lumi), event & 0xffffffffn, event >> 32n];
  const [a, b] = [words(left), words(right)];
  const at = a.findIndex((word, i) => word !== b[i]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

describe('sort and merge', () => {
  it('sorts, and leaves equal keys in the order of their rows', () => {
    fc.assert(
      fc.property(keys, (list) => {
        const table = tableOf(list);
        const order = [...sortRows(table)];
        expect([...order].sort((a, b) => a - b)).toEqual(list.map((_, row) => row));
        for (let i = 1; i < order.length; i++) {
          const compared = compareParts(list[order[i - 1]!]!, list[order[i]!]!);
          expect(compared < 0 || (compared === 0 && order[i - 1]! < order[i]!)).toBe(true);
        }
      }),
    );
  });

  it('finds the first row with the key, and rows that repeat one', () => {
    fc.assert(
      fc.property(keys, keys, (left, right) => {
        const names = right.map(text);
        const found = mergeRows(sortKeys(tableOf(left)), sortKeys(tableOf(right)));
        expect([...found]).toEqual(left.map((parts) => names.indexOf(text(parts))));
        const repeated = names.flatMap((name, row) =>
          names.indexOf(name) < row ? [{ row, first: names.indexOf(name) }] : [],
        );
        expect(repeatedRows(sortKeys(tableOf(right)))).toEqual(repeated);
        const inverse = [...invertRows(found, right.length)];
        expect(inverse).toEqual(right.map((_, row) => [...found].indexOf(row)));
        expect(sameKeys(tableOf(left), tableOf(right))).toBe(left.map(text).join() === names.join());
      }),
    );
  });
});

describe('lumi blocks', () => {
  it('counts events, told as stretches or row by row', () => {
    fc.assert(
      fc.property(keys, (list) => {
        const events: LumiEvents = new Map();
        addLumis(events, tableOf(list));
        const table = tableOf(list);
        const plain = new Map<string, number>();
        list.forEach((_, row) => {
          const name = lumiOf(table, row)!;
          plain.set(name, (plain.get(name) ?? 0) + 1);
        });
        expect(new Map(events)).toEqual(plain);
        expect(totalEvents(events)).toBe(list.length);
      }),
    );
  });

  it('expands stretches, and names what has fewer and more', () => {
    const expected = expandLumis(
      [
        [
          '1',
          [
            [5, 7, 2],
            [9, 9, 1],
          ],
        ],
      ],
      7,
    )!;
    expect(totalEvents(expected)).toBe(7);
    const actual = new Map(expected).set('1:6', 1).set('2:1', 3);
    actual.delete('1:9');
    expect(compareLumis(actual, expected)).toEqual({ fewer: ['1:6', '1:9'], more: ['2:1'] });
  });

  it('an edited table cannot make us count for ever', () => {
    expect(expandLumis([['1', [[0, Number.MAX_SAFE_INTEGER, 1]]]], 1000)).toBeUndefined();
    expect(expandLumis([['1', [[9, 3, 1]]]], 1000)).toBeUndefined();
  });
});

describe('values', () => {
  const f64 = (...values: number[]) => flatColumn('f64', Float64Array.from(values));
  const f32 = (...bits: number[]) => flatColumn('f32', new Float32Array(Uint32Array.from(bits).buffer));

  it('floats are the same by their bits', () => {
    expect(sameRow(f64(Number.NaN), f64(Number.NaN))(0, 0)).toBe(true);
    expect(sameRow(f64(0), f64(-0))(0, 0)).toBe(false);
    expect(sameRow(f32(0x7fc00000), f32(0x7fa00001))(0, 0)).toBe(false);
  });

  it('a null is not 0, and an empty list is not null', () => {
    const zero = flatColumn('u8', Uint8Array.of(0));
    const missing = flatColumn('u8', Uint8Array.of(0), Uint8Array.of(0));
    expect([sameRow(zero, missing)(0, 0), sameRow(missing, missing)(0, 0)]).toEqual([false, true]);
    const empty: Column = { kind: 'list', length: 1, offsets: new Int32Array(2), items: f32() };
    const none: Column = { ...empty, valid: Uint8Array.of(0) };
    expect([sameRow(empty, none)(0, 0), valueText(empty, 0), valueText(none, 0)]).toEqual([false, '[]', 'null']);
  });

  it('shows values as an analyst writes them', () => {
    const items = flatColumn('u64', BigUint64Array.of(1n, 2n ** 53n + 1n));
    expect(valueText({ kind: 'list', length: 1, offsets: Int32Array.of(0, 2), items }, 0)).toBe(
      '[1, 9007199254740993]',
    );
    expect(valueText(flatColumn('bool', Uint8Array.of(1)), 0)).toBe('true');
    expect(valueText(f64(-0), 0)).toBe('-0');
    const many = {
      kind: 'list',
      length: 1,
      offsets: Int32Array.of(0, 9),
      items: flatColumn('u8', new Uint8Array(9)),
    } as const;
    expect(valueText(many, 0)).toBe('[0, 0, 0, 0, 0, 0, 0, 0, ... 9 items]');
  });
});

describe('a receipt that is none', () => {
  it('any text and any JSON end in a finding, never in an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.jsonValue().map(canonicalJson)), (receipt) => {
        const { findings } = readReceipt(receipt);
        expect(findings.map(({ code }) => code)).toEqual(['verify/receipt-edited']);
      }),
    );
  });

  it('names the field', () => {
    const { findings } = readReceipt('{"format":"receipt/1","tool":"x","spec":{"how":"left","on":[1]}}');
    expect(findings[0]!.text).toContain('"spec.on"');
  });
});
