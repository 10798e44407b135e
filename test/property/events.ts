// Generated events as sources in memory, and the plan that joins them: shared by the properties.
import fc from 'fast-check';
import { makeArena } from '../../src/core/arena.ts';
import type { Column } from '../../src/core/column.ts';
import { type Field, flat, list } from '../../src/core/schema.ts';
import { keyStates, sealKeys } from '../../src/core/seal.ts';
import { INLINE_CREW } from '../../src/join/key-jobs.ts';
import { makePlan, matchRows, type PlanOptions } from '../../src/join/make-plan.ts';
import type { How } from '../../src/join/match.ts';
import { settleOutSchema } from '../../src/join/out-schema.ts';
import type { JoinPlan } from '../../src/join/plan.ts';
import { type RunResult, runPlan } from '../../src/join/run.ts';
import { invertMap } from '../../src/join/shuffle.ts';
import { inlineExecutor } from '../../src/join/work.ts';
import { readKeys, spillKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { keyRange } from '../../src/keys/store.ts';
import { closeScratch, openScratch, scratchFolder } from '../../src/scratch/scratch.ts';
import type { SinkFormat } from '../../src/sink/types.ts';
import type { Dataset } from '../../src/source/dataset.ts';
import { memoryDataset } from './memory.ts';

/** One event of a source: key, a flat payload that may be null, a list. */
export interface Row {
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
export const keyOf = ({ run, lumi, event }: Row) => `${run}/${lumi}/${event}`;
export const unique = fc.uniqueArray(row, { selector: keyOf, maxLength: 24 });
export const rows = fc.oneof(
  { weight: 9, arbitrary: unique },
  { weight: 1, arbitrary: fc.array(row, { maxLength: 8 }) },
);
export const cuts = fc.array(fc.nat(24), { maxLength: 2 });

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

export function datasetOf(label: string, all: readonly Row[], at: readonly number[]): Dataset {
  const suffix = label === 'primary' ? '' : `_${label}`;
  const bounds = [0, ...at.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
  const files = bounds.slice(1).map((end, i) => {
    const part = all.slice(bounds[i], end);
    return { columns: columnsOf(part, suffix), rows: part.length };
  });
  return memoryDataset(label, { fields: fieldsOf(suffix) }, files);
}

/** Of all cases: their keys are few. */
const KEY_SCRATCH = openScratch(scratchFolder());

/** A third each: keys in memory in one partition, in memory in several, in scratch in several. */
function keysWhere(datasets: readonly Dataset[], how: How, { selected }: Partial<PlanOptions>) {
  const which = datasets.reduce((sum, { descriptor }) => sum + descriptor.rows, 0) % 3;
  const few = { ...INLINE_CREW, sortRows: 4, partitionRows: 2 };
  if (which === 0) return { scratch: undefined, crew: INLINE_CREW };
  const inMemory = which === 1 || (selected !== undefined && (how === 'left' || how === 'inner'));
  return inMemory
    ? { scratch: undefined, crew: few }
    : { scratch: KEY_SCRATCH, crew: { ...few, scratch: KEY_SCRATCH } };
}

/** Blocks of 5 rows, so that all paths and block edges are met; every other friend that is not aligned is shuffled. */
export async function planOf(
  datasets: readonly Dataset[],
  how: How,
  more: Partial<PlanOptions> = {},
): Promise<JoinPlan> {
  const key = keySpecFor('cms', datasets[0]!.descriptor.schema, []);
  const sources = datasets.map((dataset) => ({
    dataset: dataset.descriptor,
    label: undefined,
    name: dataset.descriptor.label,
    rowBytes: () => 8,
  }));
  const options = { key, how, layout: 'arrow', missing: 'reason', columns: [], dropUnreadable: false } as const;
  const schema = settleOutSchema(sources, options);
  const { scratch, crew } = keysWhere(datasets, how, more);
  const keyed = await Promise.all(
    datasets.map(async (dataset) => ({
      descriptor: dataset.descriptor,
      keys: scratch === undefined ? await readKeys(dataset, key) : await spillKeys(dataset, key, scratch),
      label: dataset.descriptor.label,
    })),
  );
  // a row group of 1024 rows would hold every case: cut blocks of 5 rows, so that all paths and block edges are met
  const asked = { how, layout: 'arrow', drop: false, perFile: false, rowBytes: 1, ...more } as const;
  const whole = makePlan(keyed, schema, asked, await matchRows(keyed, schema, asked, crew));
  const blocks = [];
  for (let at = 0; at < whole.rowsOut; at += 5)
    blocks.push({ part: 0, start: at, end: Math.min(whole.rowsOut, at + 5) });
  return {
    ...whole,
    blocks,
    sources: whole.sources.map((source, s) =>
      source.map !== undefined && (s % 2 === 1 || (s === 0 && more.selected !== undefined && whole.rowsOut % 3 !== 0))
        ? { ...source, path: 'shuffle' as const, targets: invertMap(source.map, source.keys.rows) }
        : source,
    ),
  };
}

/** Carries the plan out in this thread; nothing is committed. */
export async function runWith<E>(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  format: SinkFormat<E>,
  target = 'out',
): Promise<RunResult<E>> {
  const { signal } = new AbortController();
  const sink = { compression: 'zstd' } as const;
  // every other case passes its shuffled rows through scratch
  const scratch = plan.rowsOut % 2 === 1 ? openScratch(scratchFolder()) : undefined;
  const executor = inlineExecutor(plan, datasets, format, sink, { signal, scratch, arena: makeArena(true) });
  return runPlan(plan, executor, format, {
    targets: [target],
    sink,
    force: true,
    receipt: {
      tool: 'test',
      spec: {},
      policies: {},
      sourceKeySeals: plan.sources.map(({ keys }) => sealKeys(keyStates(keyRange(keys, 0, keys.rows), 0, keys.rows))),
      ancestry: [],
      lumisIn: [],
    },
    emit: () => {},
    signal,
  }).finally(async () => {
    await executor.close(); // its memory serves the next case
    if (scratch !== undefined) closeScratch(scratch);
  });
}
