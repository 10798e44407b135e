// The join against a nested-loop oracle: every how, every path, edge keys, duplicates, nulls, several files and friends.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { type Field, flat, list } from '../../src/core/schema.ts';
import { NO_SEAL } from '../../src/core/seal.ts';
import { makePlan } from '../../src/join/make-plan.ts';
import type { How } from '../../src/join/match.ts';
import { settleOutSchema } from '../../src/join/out-schema.ts';
import { runPlan } from '../../src/join/run.ts';
import { invertMap } from '../../src/join/shuffle.ts';
import { inlineExecutor } from '../../src/join/work.ts';
import { readKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import type { Dataset } from '../../src/source/dataset.ts';
import { memoryDataset, memorySink, type Written } from './memory.ts';

const CASES = Number(process.env.COLWEAVE_CASES ?? 2500);
const SEED = process.env.COLWEAVE_SEED === undefined ? Date.now() & 0x7fffffff : Number(process.env.COLWEAVE_SEED);

/** One event of a source: key, a flat payload that may be null, a list. */
interface Row {
  readonly run: number;
  readonly lumi: number;
  readonly event: bigint;
  readonly value: number | null;
  readonly items: readonly number[];
}

const EVENTS = [0n, 1n, 2n, 3n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n];
const row: fc.Arbitrary<Row> = fc.record({
  run: fc.constantFrom(1, 2, 0xffffffff),
  lumi: fc.constantFrom(1, 2),
  event: fc.constantFrom(...EVENTS),
  value: fc.option(fc.nat(0xffff), { nil: null, freq: 5 }),
  items: fc.array(fc.nat(255), { maxLength: 3 }),
});
const keyOf = ({ run, lumi, event }: Row) => `${run}/${lumi}/${event}`;
const unique = fc.uniqueArray(row, { selector: keyOf, maxLength: 24 });
const rows = fc.oneof({ weight: 9, arbitrary: unique }, { weight: 1, arbitrary: fc.array(row, { maxLength: 8 }) });
const cuts = fc.array(fc.nat(24), { maxLength: 2 });

const KEY_FIELDS: Field[] = [
  { name: 'run', type: flat('u32'), nullable: false },
  { name: 'luminosityBlock', type: flat('u32'), nullable: false },
  { name: 'event', type: flat('u64'), nullable: false },
];
const fieldsOf = (suffix: string): Field[] => [
  ...KEY_FIELDS,
  { name: `value${suffix}`, type: flat('i32'), nullable: true },
  { name: `list${suffix}`, type: list(flat('u8')), nullable: false },
];

function columnsOf(all: readonly Row[], suffix: string): Record<string, Column> {
  const flatOf = (dtype: 'u32' | 'i32', values: readonly number[], valid?: Uint8Array): Column => ({
    kind: 'flat',
    dtype,
    length: all.length,
    values: dtype === 'u32' ? Uint32Array.from(values) : Int32Array.from(values),
    valid,
  });
  const offsets = new Int32Array(all.length + 1);
  all.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + item.items.length;
  });
  const items = Uint8Array.from(all.flatMap((item) => item.items));
  const valid = Uint8Array.from(all, (item) => (item.value === null ? 0 : 1));
  return {
    run: flatOf(
      'u32',
      all.map((item) => item.run),
    ),
    luminosityBlock: flatOf(
      'u32',
      all.map((item) => item.lumi),
    ),
    event: { kind: 'flat', dtype: 'u64', length: all.length, values: BigUint64Array.from(all, (item) => item.event) },
    [`value${suffix}`]: flatOf(
      'i32',
      all.map((item) => item.value ?? 0),
      valid,
    ),
    [`list${suffix}`]: {
      kind: 'list',
      length: all.length,
      offsets,
      items: { kind: 'flat', dtype: 'u8', length: items.length, values: items },
    },
  };
}

function datasetOf(label: string, all: readonly Row[], at: readonly number[]): Dataset {
  const suffix = label === 'primary' ? '' : `_${label}`;
  const bounds = [0, ...at.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
  const files = bounds.slice(1).map((end, i) => {
    const part = all.slice(bounds[i], end);
    return { columns: columnsOf(part, suffix), rows: part.length };
  });
  return memoryDataset(label, { fields: fieldsOf(suffix) }, files);
}

async function join(datasets: readonly Dataset[], how: How): Promise<Written> {
  const key = keySpecFor('cms', datasets[0]!.descriptor.schema, []);
  const sources = datasets.map((dataset) => ({
    dataset: dataset.descriptor,
    label: undefined,
    name: dataset.descriptor.label,
    rowBytes: () => 8,
  }));
  const options = { key, how, layout: 'arrow', missing: 'reason', columns: [], dropUnreadable: false } as const;
  const schema = settleOutSchema(sources, options);
  const keyed = await Promise.all(
    datasets.map(async (dataset) => ({
      descriptor: dataset.descriptor,
      keys: await readKeys(dataset, key),
      label: dataset.descriptor.label,
    })),
  );
  // a row group of 1024 rows would hold every case: cut blocks of 5 rows, so that all paths and block edges are met
  const whole = makePlan(keyed, schema, { how, layout: 'arrow', drop: false, perFile: false, rowBytes: 1 });
  const blocks = [];
  for (let at = 0; at < whole.rowsOut; at += 5)
    blocks.push({ part: 0, start: at, end: Math.min(whole.rowsOut, at + 5) });
  const plan = {
    ...whole,
    blocks,
    sources: whole.sources.map((source, s) =>
      s > 0 && source.map !== undefined && s % 2 === 1
        ? { ...source, path: 'shuffle' as const, targets: invertMap(source.map, source.keys.rows) }
        : source,
    ),
  };
  let written: Written | undefined;
  const format = memorySink((output) => {
    written = output;
  });
  const { signal } = new AbortController();
  const sink = { compression: 'none' } as const;
  await runPlan(plan, inlineExecutor(plan, datasets, format, sink, signal), format, {
    targets: ['out'],
    sink,
    force: false,
    receipt: { tool: 'test', spec: {}, policies: {}, sourceKeySeals: datasets.map(() => NO_SEAL), lumisIn: [] },
    emit: () => {},
    signal,
  });
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
function oracle(primary: readonly Row[], friends: readonly (readonly Row[])[], how: How): Record<string, Cell[]> {
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
    const lumis = new Set(side.map((item) => `${item.run}/${item.lumi}`));
    const canMiss = how === 'outer' || (how === 'left' && s > 0) || (how === 'right' && s === 0);
    if (!canMiss) return;
    out[`${name}_missing`] = kept.map((wanted) => {
      if (find(side, wanted) !== undefined) return 0;
      return lumis.has(`${wanted.run}/${wanted.lumi}`) ? 1 : 2;
    });
  });
  return out;
}

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

/** A fixed scramble that leaves some rows out. */
function shuffled(side: readonly Row[], salt: number): Row[] {
  return side
    .map((item, i) => ({ item: { ...item, value: i }, order: (i * 7 + salt * 13) % 31 }))
    .filter(({ order }) => order !== 3)
    .sort((left, right) => left.order - right.order)
    .map(({ item }) => item);
}
