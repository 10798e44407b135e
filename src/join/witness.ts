// Owns comparing witness columns row by row while a row group is made, and how telling they are.
import type { Column, FlatColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { type KeyTable, keyText } from '../core/key-spec.ts';
import { WITNESS_SAMPLE } from '../core/receipt.ts';
import { formatCount } from '../core/text.ts';
import { locateRow } from '../source/dataset.ts';
import type { Block, JoinPlan } from './plan.ts';
import type { Witness } from './witness-plan.ts';

export interface WitnessCount {
  /** Events that both sides have a value for. */
  readonly compared: number;
  readonly differing: number;
}

/** Of one row group: counts by index of `plan.witnesses`; by source, one hash a sampled event of its hard witnesses together. */
export interface BlockWitness {
  readonly counts: readonly WitnessCount[];
  readonly samples: ReadonlyMap<number, Float64Array>;
}

/** Columns of the primary that friends are compared with, over the rows of one block: kept while the block is made. */
export type Kept = ReadonlyMap<string, Column>;

/** Names of the primary's columns that a block keeps: counters of friends' lists, and witnesses. */
export function keptNames({ checks, witnesses }: JoinPlan): ReadonlySet<string> {
  const counters = checks.filter((check) => check.source > 0 && check.counterSource === 0);
  return new Set([...counters.map(({ counter }) => counter), ...witnesses.map(({ primary }) => primary)]);
}

/** Witness columns of a friend that are not written: read for the comparison alone. */
export function witnessOnly({ columns, witnesses }: JoinPlan, source: number): readonly string[] {
  const written = new Set(
    columns.filter((column) => column.kind === 'payload' && column.source === source).map(({ from }) => from),
  );
  const own = witnesses.filter((witness) => witness.source === source && !written.has(witness.friend));
  return [...new Set(own.map(({ friend }) => friend))];
}

export interface WitnessInputs {
  readonly plan: JoinPlan;
  readonly block: Block;
  readonly source: number;
  readonly kept: Kept;
  readonly keys: KeyTable;
}

/** Compares what is in `after`, the friend's columns of one batch in the order of the output. Errors: join/witness-differs. */
export function compareWitnesses(
  { plan, block, source, kept, keys }: WitnessInputs,
  after: ReadonlyMap<string, Column>,
  counts: WitnessCount[],
): void {
  plan.witnesses.forEach((witness, w) => {
    if (witness.source !== source) return;
    const theirs = after.get(witness.friend);
    if (theirs === undefined) return;
    const mine = kept.get(witness.primary) as FlatColumn;
    const { first, ...count } = compareColumns(mine, theirs as FlatColumn, witness.tolerance);
    counts[w] = count;
    if (first < 0 || !witness.hard) return;
    const values = [mine, theirs as FlatColumn].map(({ values }) => String(values[first]));
    throw differs(plan, witness, block.start + first, { ...count, values, event: keyText(keys, first) });
  });
}

interface Difference extends WitnessCount {
  readonly values: readonly string[];
  readonly event: string;
}

function differs(plan: JoinPlan, witness: Witness, row: number, found: Difference): ColweaveError {
  const sides = [0, witness.source].map((s, i) => {
    const { dataset, map, label } = plan.sources[s]!;
    const { uri, entry } = locateRow(dataset, map === undefined ? row : map[row]!);
    return {
      text: `${label}: ${[witness.primary, witness.friend][i]} ${found.values[i]} in ${uri}, entry ${entry}`,
      uri,
    };
  });
  const { label } = plan.sources[witness.source]!;
  const many = `${formatCount(found.differing)} of ${formatCount(found.compared)} events looked at`;
  return new ColweaveError(
    'join/witness-differs',
    `source "${label}" has other events under the same keys: ${witness.primary} differs in ${many}`,
    { where: [sides[1]!.uri], details: [`the first event: ${found.event}`, ...sides.map(({ text }) => text)] },
  );
}

function compareColumns(
  left: FlatColumn,
  right: FlatColumn,
  tolerance: number,
): WitnessCount & { readonly first: number } {
  const unequal = unequalBy(left, right, tolerance);
  let compared = 0;
  let differing = 0;
  let first = -1;
  for (let i = 0; i < left.length; i++) {
    if (left.valid?.[i] === 0 || right.valid?.[i] === 0) continue;
    compared++;
    if (!unequal(i)) continue;
    if (differing++ === 0) first = i;
  }
  return { compared, differing, first };
}

/** NaN is NaN; -0 is 0: what is compared is what was measured, not how it is stored. */
function unequalBy(left: FlatColumn, right: FlatColumn, tolerance: number): (row: number) => boolean {
  if (isWide(left) || isWide(right)) {
    const [a, b] = [left.values, right.values];
    return (i) => BigInt(a[i]!) !== BigInt(b[i]!);
  }
  const [a, b] = [asDoubles(left), asDoubles(right)];
  if (tolerance === 0) return (i) => a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]));
  return (i) => {
    const [x, y] = [a[i]!, b[i]!];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return false;
    return !(Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y)));
  };
}

const isWide = ({ dtype }: FlatColumn): boolean => dtype === 'i64' || dtype === 'u64';

/** Exact: every other type fits. */
function asDoubles({ values, length }: FlatColumn): Float64Array {
  if (values instanceof Float64Array) return values;
  return new Float64Array(values.subarray(0, length) as Float32Array);
}

/** Of each source with hard witnesses: a hash a sampled row of the block, of the primary's values of them all. */
export function sampleBlock({
  plan,
  block,
  kept,
}: Pick<WitnessInputs, 'plan' | 'block' | 'kept'>): BlockWitness['samples'] {
  const part = plan.parts[block.part]!;
  const stride = Math.max(1, Math.ceil((part.end - part.start) / WITNESS_SAMPLE));
  const rows: number[] = [];
  const own = plan.sources[0]!.map;
  const first = part.start + Math.ceil((block.start - part.start) / stride) * stride;
  for (let row = first; row < block.end; row += stride) {
    if (own === undefined || own[row]! >= 0) rows.push(row - block.start);
  }
  const samples = new Map<number, Float64Array>();
  for (const source of new Set(plan.witnesses.filter(({ hard }) => hard).map((witness) => witness.source))) {
    const columns = plan.witnesses
      .filter((witness) => witness.source === source && witness.hard)
      .map(({ primary }) => kept.get(primary) as FlatColumn);
    samples.set(
      source,
      Float64Array.from(rows, (row) => hashRow(columns, row)),
    );
  }
  return samples;
}

const doubles = new Float64Array(1);
const halves = new Uint32Array(doubles.buffer);

/** 53 bits. */
function hashRow(columns: readonly FlatColumn[], row: number): number {
  let x = 0x9e3779b9 | 0;
  let y = 0x85ebca77 | 0;
  for (const { values, valid } of columns) {
    const value = valid?.[row] === 0 ? Number.NaN : values[row]!;
    doubles[0] = Number(value);
    for (const word of halves) {
      x = Math.imul((x ^ (x >>> 15)) + word, 0x85ebca6b);
      y = Math.imul((y ^ (y >>> 13)) + word, 0xc2b2ae35);
    }
  }
  x ^= x >>> 16;
  y ^= y >>> 16;
  return (x >>> 0) * 2 ** 21 + (y >>> 11);
}

/** Pairs of sampled events, and those that agree in every hard witness: P(two random events agree) is their ratio. */
export interface WitnessPower {
  readonly pairs: number;
  readonly agreeing: number;
}

export function powerOf(samples: readonly Float64Array[]): WitnessPower {
  const times = new Map<number, number>();
  let events = 0;
  for (const hash of samples.flatMap((sample) => [...sample])) {
    times.set(hash, (times.get(hash) ?? 0) + 1);
    events++;
  }
  let agreeing = 0;
  for (const n of times.values()) agreeing += (n * (n - 1)) / 2;
  return { pairs: (events * Math.max(0, events - 1)) / 2, agreeing };
}

export function addWitness(left: BlockWitness, right: BlockWitness): BlockWitness {
  const samples = new Map(left.samples);
  for (const [source, sample] of right.samples) {
    const before = samples.get(source) ?? new Float64Array(0);
    const both = new Float64Array(before.length + sample.length);
    both.set(before);
    both.set(sample, before.length);
    samples.set(source, both);
  }
  const counts = right.counts.map(({ compared, differing }, w) => ({
    compared: compared + (left.counts[w]?.compared ?? 0),
    differing: differing + (left.counts[w]?.differing ?? 0),
  }));
  return { counts, samples };
}

export const noWitness = ({ witnesses }: JoinPlan): BlockWitness => ({
  counts: witnesses.map(() => ({ compared: 0, differing: 0 })),
  samples: new Map(),
});
