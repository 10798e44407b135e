// Keys of a few rows among many: the sieve lets all of them pass, whatever the width of a key, and lookups say what a Map says.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KeyTable } from '../../src/core/key-spec.ts';
import { findRows, insertKeys, makePartitionTable, makeSieve, siftRows } from '../../src/keys/partition-table.ts';

/** Only the words count here: the columns of the key do not. */
function tableOf(rows: readonly (readonly number[])[], stride: number): KeyTable {
  return { spec: { name: 'any', columns: [] }, rows: rows.length, stride, words: Uint32Array.from(rows.flat()) };
}

test('every key of the table passes the sieve, and is found where it is', () => {
  // few values, so that keys meet; and large ones, of which every bit counts
  const word = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 2 ** 32 - 1 }));
  const keysOf = (stride: number) =>
    fc.array(fc.array(word, { minLength: stride, maxLength: stride }), { maxLength: 200 });
  const drawn = fc
    .integer({ min: 1, max: 5 })
    .chain((stride) => fc.tuple(fc.constant(stride), keysOf(stride), keysOf(stride)));
  fc.assert(
    fc.property(drawn, ([stride, few, others]) => {
      const own = new Map([...few].reverse().map((key, i) => [String(key), few.length - 1 - i]));
      const keys = tableOf(few, stride);
      const table = makePartitionTable(keys);
      insertKeys(table, { from: 0, to: keys.rows }, () => {});
      const many = tableOf([...others, ...few], stride);
      const rows = siftRows(makeSieve(keys), many);
      const found = new Map([...findRows(table, many, rows)].map((number, i) => [rows[i]!, number]));
      [...others, ...few].forEach((key, row) => {
        expect(found.get(row) ?? -1).toBe(own.get(String(key)) ?? -1);
      });
      expect([...rows]).toEqual([...rows].sort((left, right) => left - right));
    }),
    { numRuns: 300 },
  );
});

test('most other keys do not pass', () => {
  const keyed = (from: number) => Array.from({ length: 10_000 }, (_, i) => [278_000, 1 + (i >> 7), from + 7 * i, 0]);
  const sieve = makeSieve(tableOf(keyed(0), 4));
  expect(siftRows(sieve, tableOf(keyed(1), 4)).length).toBeLessThan(600);
});
