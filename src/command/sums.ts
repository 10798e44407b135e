// Owns the totals of a Runs tree: counts and sums of weights are added, sums that were divided by genEventSumw are averaged
// with it. Cuts and events without a partner never change them: they are of the files, not of the rows of an output.
import type { Column, ListColumn } from '../core/column.ts';
import { canonicalJson } from '../core/receipt.ts';
import type { Field } from '../core/schema.ts';
import { type Dataset, readRows } from '../source/dataset.ts';

/** NanoAOD v5 and v6 have an underscore behind the names. */
const ADDED = /^genEvent(Count|Sumw|Sumw2)_?$/;
const AVERAGED = /(Scale|Pdf)Sumw_?$/;
/** What NanoAOD's own title says of others, such as PSSumw. */
const AVERAGED_TITLE = /divided by genEventSumw/;
const WEIGHT = /^genEventSumw_?$/;

export interface Sums {
  readonly tree: string;
  readonly rows: number;
  /** Counts as integers, a string above 2^53. */
  readonly added: Readonly<Record<string, number | string>>;
  readonly averaged: Readonly<Record<string, readonly number[]>>;
  /** Columns that have no mean, with the reason. */
  readonly left: Readonly<Record<string, string>>;
}

export interface SumsOfFiles {
  readonly all?: Sums;
  /** One a file of the data set. */
  readonly files: readonly (Sums | undefined)[];
}

export const sumsText = (sums: Sums): string => canonicalJson({ format: 'sums/1', ...sums });

/** Nothing where the tree has no sums. Rows are few: one a run of each file. */
export async function sumRows(dataset: Dataset, tree: string, signal: AbortSignal): Promise<SumsOfFiles> {
  const { schema, rows, files } = dataset.descriptor;
  const fields = schema.fields.filter(isSummed);
  if (!fields.some(({ name }) => ADDED.test(name))) return { files: files.map(() => undefined) };
  const names = fields.map(({ name }) => name);
  const columns = await readRows(dataset, names, 0, rows, signal);
  const table = new Map(names.map((name, i) => [name, columns[i]!]));
  const of = (start: number, end: number) => sumsOf(table, tree, start, end);
  return {
    all: of(0, rows),
    files: files.map(({ firstRow, descriptor }) => of(firstRow, firstRow + descriptor.rows)),
  };

  function isSummed({ name, type, nullable, doc = '' }: Field): boolean {
    if (nullable) return false;
    if (ADDED.test(name)) return type.kind === 'flat';
    const averaged = AVERAGED.test(name) || (/Sumw_?$/.test(name) && AVERAGED_TITLE.test(doc));
    return averaged && type.kind === 'list' && type.item.kind === 'flat';
  }
}

type Table = ReadonlyMap<string, Column>;

function sumsOf(table: Table, tree: string, start: number, end: number): Sums {
  const added: Record<string, number | string> = {};
  const averaged: Record<string, readonly number[]> = {};
  const left: Record<string, string> = {};
  const weight = [...table].find(([name]) => WEIGHT.test(name))?.[1];
  for (const [name, column] of table) {
    if (column.kind === 'flat') {
      added[name] = addUp(column.values, start, end);
      continue;
    }
    const mean =
      weight === undefined ? 'there is no genEventSumw' : averageOf(column as ListColumn, weight, start, end);
    if (typeof mean === 'string') left[name] = mean;
    else averaged[name] = mean;
  }
  return { tree, rows: end - start, added, averaged, left };
}

function addUp(values: ArrayLike<number | bigint>, start: number, end: number): number | string {
  if (typeof values[start] !== 'bigint') return addFloats((i) => Number(values[start + i]), end - start);
  let sum = 0n;
  for (let i = start; i < end; i++) sum += values[i] as bigint;
  return sum <= BigInt(Number.MAX_SAFE_INTEGER) && sum >= -BigInt(Number.MAX_SAFE_INTEGER) ? Number(sum) : String(sum);
}

/** Neumaier's sum: does not depend on how large the parts are beside each other. */
function addFloats(value: (index: number) => number, count: number): number {
  let sum = 0;
  let lost = 0;
  for (let i = 0; i < count; i++) {
    const next = value(i);
    const total = sum + next;
    lost += Math.abs(sum) >= Math.abs(next) ? sum - total + next : next - total + sum;
    sum = total;
  }
  return sum + lost;
}

/** Of each place of the list; the reason where rows cannot be averaged. */
function averageOf(column: ListColumn, weight: Column, start: number, end: number): readonly number[] | string {
  const { offsets, items } = column;
  if (items.kind !== 'flat' || weight.kind !== 'flat') return 'it is no list of numbers';
  const { values } = items;
  const lengths = new Set(Array.from({ length: end - start }, (_, i) => offsets[start + i + 1]! - offsets[start + i]!));
  if (lengths.size > 1) return `its lists have ${[...lengths].sort((a, b) => a - b).join(' and ')} entries`;
  const [length = 0] = lengths;
  const weightAt = (i: number) => Number(weight.values[start + i]);
  const total = addFloats(weightAt, end - start);
  if (length > 0 && total === 0) return 'genEventSumw is 0 in all';
  return Array.from({ length }, (_, k) => {
    const sum = addFloats((i) => Number(values[offsets[start + i]! + k]) * weightAt(i), end - start);
    return sum / total;
  });
}
