// The join against a nested-loop oracle: every how, every path, edge keys, duplicates, nulls, several files and friends.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import type { How } from '../../src/join/match.ts';
import type { Dataset } from '../../src/source/dataset.ts';
import { cuts, datasetOf, keyOf, planOf, type Row, rows, runWith } from './events.ts';
import { memorySink, type Written } from './memory.ts';

const CASES = Number(process.env.COLWEAVE_CASES ?? 500);
const SEED = process.env.COLWEAVE_SEED === undefined ? Date.now() & 0x7fffffff : Number(process.env.COLWEAVE_SEED);

async function join(datasets: readonly Dataset[], how: How, selected?: Uint8Array): Promise<Written> {
  let written: Written | undefined;
  const format = memorySink((output) => {
    written = output;
  });
  await runWith(await planOf(datasets, how, selected && { selected }), datasets, format);
  return written!;
}

type Cell = string | number | readonly number[] | null;

function cells(column: Column): Cell[] {
  return Array.from({ length: column.length }, (_, i) => {
    if (column.valid?.[i] === 0) return null;
    if (column.kind === 'flat')
      return typeof column.values[i] === 'bigint' ? String(column.values[i]) : Number(column.values[i]);
    if (column.kind === 'utf8') return '';
    const items = column.items as Extract<Column, { kind: 'flat' }>;
    return Array.from(items.values.subarray(column.offsets[i], column.offsets[i + 1]) as Uint8Array);
  });
}

/** The whole join, on one screen: union of keys in promised order, then one cell a column. */
function oracle(
  whole: readonly Row[],
  friends: readonly (readonly Row[])[],
  how: How,
  keep: (row: Row) => boolean = () => true,
): Record<string, Cell[]> {
  const primary = whole.filter(keep);
  const union: Row[] = [...primary];
  if (how === 'right' || how === 'outer') {
    for (const friend of friends) {
      for (const candidate of friend) {
        if (!union.some((other) => keyOf(other) === keyOf(candidate))) union.push(candidate);
      }
    }
  }
  const find = (side: readonly Row[], wanted: Row) => side.find((other) => keyOf(other) === keyOf(wanted));
  const kept = union.filter((wanted) => {
    if (how === 'inner') return friends.every((friend) => find(friend, wanted) !== undefined);
    return how !== 'right' || find(friends[0]!, wanted) !== undefined;
  });
  const out: Record<string, Cell[]> = {
    run: kept.map((item) => item.run),
    luminosityBlock: kept.map((item) => item.lumi),
    event: kept.map((item) => String(item.event)),
  };
  [primary, ...friends].forEach((side, s) => {
    const suffix = s === 0 ? '' : `_f${s}`;
    out[`value${suffix}`] = kept.map((wanted) => find(side, wanted)?.value ?? null);
    out[`list${suffix}`] = kept.map((wanted) => find(side, wanted)?.items ?? null);
    const name = s === 0 ? 'primary' : `f${s}`;
    const lumis = new Set((s === 0 ? whole : side).map((item) => `${item.run}/${item.lumi}`));
    const canMiss = how === 'outer' || (how === 'left' && s > 0) || (how === 'right' && s === 0);
    if (!canMiss) return;
    out[`${name}_missing`] = kept.map((wanted) => {
      if (find(side, wanted) !== undefined) return 0;
      if (s === 0 && find(whole, wanted) !== undefined) return 4;
      return lumis.has(`${wanted.run}/${wanted.lumi}`) ? 1 : 2;
    });
  });
  return out;
}

/** What a selection might be: about half of the events, none, all. */
const KEEPS: readonly ((row: Row) => boolean)[] = [
  ({ value }) => value !== null && value % 2 === 0,
  ({ items }) => items.length === 1,
  () => false,
  () => true,
];

const hasTwins = (side: readonly Row[]) => new Set(side.map(keyOf)).size < side.length;

describe('join against a nested loop', () => {
  it.each(['inner', 'left', 'right', 'outer'] as const)('%s', { timeout: 300_000 }, async (how) => {
    const friendCount = how === 'right' ? { minLength: 1, maxLength: 1 } : { minLength: 1, maxLength: 3 };
    const sharing = fc.tuple(rows, fc.array(fc.tuple(rows, cuts, fc.boolean()), friendCount), cuts);
    await fc.assert(
      fc.asyncProperty(sharing, async ([primary, others, primaryCuts]) => {
        // half of the friends hold the primary's own events in another order, the usual case
        const friends = others.map(([own, , similar]) => (similar ? shuffled(primary, own.length) : own));
        const datasets = [
          datasetOf('primary', primary, primaryCuts),
          ...friends.map((friend, i) => datasetOf(`f${i + 1}`, friend, others[i]![1])),
        ];
        if ([primary, ...friends].some(hasTwins)) {
          const error = await join(datasets, how).catch((cause: unknown) => cause);
          expect(error).toBeInstanceOf(ColweaveError);
          expect((error as ColweaveError).code).toBe('join/duplicate-key');
          return;
        }
        const written = await join(datasets, how);
        const got = Object.fromEntries(written.fields.map((field, c) => [field.name, cells(written.columns[c]!)]));
        expect(got).toEqual(oracle(primary, friends, how));
      }),
      { numRuns: CASES, seed: SEED },
    );
  });
});

describe('join of the primary events that a selection keeps', () => {
  it.each(['inner', 'left', 'right', 'outer'] as const)('%s', { timeout: 300_000 }, async (how) => {
    const friendCount = how === 'right' ? { minLength: 1, maxLength: 1 } : { minLength: 1, maxLength: 3 };
    const sharing = fc.tuple(
      rows,
      fc.array(fc.tuple(rows, cuts, fc.nat(2)), friendCount),
      cuts,
      fc.constantFrom(...KEEPS),
    );
    await fc.assert(
      fc.asyncProperty(sharing, async ([primary, others, primaryCuts, keep]) => {
        const friends = others.map(([own, , like]) =>
          like === 0 ? own : like === 1 ? shuffled(primary, own.length) : primary,
        );
        const datasets = [
          datasetOf('primary', primary, primaryCuts),
          ...friends.map((friend, i) => datasetOf(`f${i + 1}`, friend, others[i]![1])),
        ];
        const selected = Uint8Array.from(primary, (row) => (keep(row) ? 1 : 0));
        const kept = new Set(primary.filter(keep).map(keyOf));
        // left and inner look at the kept events alone; right and outer at all
        const counts = (row: Row) => how === 'right' || how === 'outer' || kept.has(keyOf(row));
        if ([primary, ...friends].some((side) => hasTwins(side.filter(counts)))) {
          const error = await join(datasets, how, selected).catch((cause: unknown) => cause);
          expect((error as ColweaveError).code).toBe('join/duplicate-key');
          return;
        }
        const written = await join(datasets, how, selected);
        const got = Object.fromEntries(written.fields.map((field, c) => [field.name, cells(written.columns[c]!)]));
        expect(got).toEqual(oracle(primary, friends, how, keep));
      }),
      { numRuns: Math.ceil(CASES / 6), seed: SEED },
    );
  });
});

/** A fixed scramble that leaves some rows out. */
function shuffled(side: readonly Row[], salt: number): Row[] {
  return side
    .map((item, i) => ({ item: { ...item, value: i }, order: (i * 7 + salt * 13) % 31 }))
    .filter(({ order }) => order !== 3)
    .sort((left, right) => left.order - right.order)
    .map(({ item }) => item);
}
