// Owns check 3: everything again from the sources. Keys are matched by sort and merge, values compared bit by bit.
import type { FlatColumn } from '../core/column.ts';
import type { Emit } from '../core/events.ts';
import type { KeySpec } from '../core/key-spec.ts';
import type { Receipt } from '../core/receipt.ts';
import { closeDataset } from '../source/dataset.ts';
import type { Input } from '../source/inputs.ts';
import type { SourceFile } from '../source/types.ts';
import type { ColumnDifference, Comparison } from './check-blocks.ts';
import {
  checkEvents,
  doubledFinding,
  type MatchedSource,
  outputOffender,
  sourceOffender,
  withoutCut,
} from './events.ts';
import { findSources, type GivenSource } from './find-sources.ts';
import { counted, type Finding, finding, named, OFFENDERS_MAX } from './findings.ts';
import { guessSources } from './guess-sources.ts';
import { matchKeys, sourceKeys, type Workplace } from './key-tables.ts';
import { addLumis, type LumiEvents, lumiOf } from './lumi.ts';
import { readGood, rowRanges, type Torn } from './output-file.ts';
import { checkRowMap } from './row-map.ts';
import { selectAgain } from './selection.ts';
import { mergeRows, type SortedKeys } from './sort-merge.ts';

/** Columns that get a finding of their own; the others are listed together. */
const COLUMNS_NAMED_MAX = 20;

export interface AgainstTest {
  readonly path: string;
  readonly file: SourceFile;
  readonly receipt: Receipt | undefined;
  readonly keys: SortedKeys;
}

/** The sources, which of their rows the output holds, and what is wrong with that. */
export interface SourcesMatched {
  readonly sources: readonly MatchedSource[];
  readonly findings: readonly Finding[];
  close(): Promise<void>;
}

/** Errors: those of the sources; what is wrong with the output, or with the choice of sources, is a finding. */
export async function matchSources(
  test: Omit<AgainstTest, 'keys'>,
  { spec, sorted }: { readonly spec: KeySpec; readonly sorted: Promise<SortedKeys> },
  inputs: readonly Input[],
  { place, emit }: { readonly place: Workplace; readonly emit: Emit },
): Promise<SourcesMatched> {
  const { receipt } = test;
  const { signal } = place;
  const given =
    receipt === undefined
      ? await guessSources(test, spec, inputs, emit, signal)
      : await findSources(receipt, inputs, signal);
  const close = async () => {
    await Promise.all(given.sources.map(({ dataset }) => closeDataset(dataset)));
  };
  try {
    await place.work.openSources(given.sources.map(({ dataset }) => dataset));
    const selection =
      receipt?.selection === undefined ? undefined : await selectAgain(receipt.selection, given.sources, signal);
    const sources = await matchAll(await sorted, given.sources, selection?.selected, place);
    if (given.left.length > 0)
      emit({ type: 'note', text: `not compared, as none of its files was given: source ${named(given.left)}` });
    const findings = [...given.findings, ...(selection?.findings ?? [])];
    return { sources, findings, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Which events the output must hold and holds, in which order. */
export function checkMatched(test: AgainstTest, { sources }: SourcesMatched, emit: Emit): readonly Finding[] {
  const { receipt } = test;
  if (receipt === undefined) return [...doubledFinding(test), ...foreign(test, sources)];
  if (sources.length < receipt.sources.length) return [];
  const events = checkEvents(test, sources, receipt);
  if (events.part) emit({ type: 'note', text: `${test.path}: one file of a join into a directory` });
  return events.findings;
}

async function matchAll(
  keys: SortedKeys,
  sources: readonly GivenSource[],
  selected: Uint8Array | undefined,
  place: Workplace,
): Promise<readonly MatchedSource[]> {
  return Promise.all(
    sources.map(async (source, i) => {
      const own = await sourceKeys(place, source.dataset, i, keys);
      const cut = source.index === 0 && selected !== undefined ? { selected } : {};
      return { ...source, ...cut, keys: own, rowOf: withoutCut(await matchKeys(place, keys, own), cut) };
    }),
  );
}

/** What the columns say of where events are: which are missing, and in a row map which entry of which file. */
export async function checkPlaces(
  test: AgainstTest,
  sources: readonly MatchedSource[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const torn: Torn = new Map();
  const findings: Finding[] = [];
  if (test.receipt === undefined) return findings;
  for (const source of sources) {
    findings.push(...(await checkFlag(test, source, torn, signal)));
    if (test.receipt.spec.mapOnly === true) findings.push(...(await checkRowMap(test, source, torn, signal)));
  }
  return findings;
}

/** One finding a column that differs from its source, up to a number. */
export function checkValues(test: AgainstTest, comparisons: readonly Comparison[]): readonly Finding[] {
  const differences = test.receipt === undefined ? nearest(comparisons) : first(comparisons);
  const own = differences.slice(0, COLUMNS_NAMED_MAX).map((difference) => differenceFinding(test, difference));
  const rest = differences.slice(COLUMNS_NAMED_MAX).map(({ name }) => name);
  if (rest.length === 0) return own;
  return [...own, finding('verify/value-differs', `${named(rest)} differ too`, { count: rest.length, columns: rest })];
}

/** By a receipt several sources may give a column (--dedup), and it must be that of each; the first that differs is named. */
function first(comparisons: readonly Comparison[]): readonly ColumnDifference[] {
  const found = new Map<string, ColumnDifference>();
  for (const difference of comparisons.flatMap(({ differences }) => differences))
    if (!found.has(difference.name)) found.set(difference.name, difference);
  return [...found.values()];
}

/** Without a receipt several sources may have a column: it differs if it differs from each, and then from the nearest. */
function nearest(comparisons: readonly Comparison[]): readonly ColumnDifference[] {
  const candidates = new Map<string, number>();
  const found = new Map<string, ColumnDifference[]>();
  for (const { compared, differences } of comparisons) {
    for (const name of compared) candidates.set(name, (candidates.get(name) ?? 0) + 1);
    for (const difference of differences)
      found.set(difference.name, [...(found.get(difference.name) ?? []), difference]);
  }
  return [...found]
    .filter(([name, differences]) => differences.length === candidates.get(name))
    .map(([, differences]) => differences.reduce((best, other) => (other.count < best.count ? other : best)));
}

function differenceFinding(test: AgainstTest, difference: ColumnDifference): Finding {
  const { name, from, source, count, row, sourceRow, value, sourceValue } = difference;
  const here = outputOffender(test, row);
  const there = sourceRow < 0 ? undefined : sourceOffender(source, sourceRow);
  const origin =
    there === undefined
      ? `source ${source.label} has no such event`
      : `${sourceValue} in ${there.file} (${from}, entry ${there.entry})`;
  const text = `${name} is not its source's in ${counted(count, 'event')}, first ${here.key}: ${value} here (entry ${row}), ${origin}`;
  return finding('verify/value-differs', text, {
    count,
    columns: [name],
    first: there === undefined ? [here] : [here, there],
  });
}

/** `LABEL_missing`: 0 the source has the event, 1 it has not, 2 it has no event of that lumi block, 4 a selection cut it. */
async function checkFlag(
  test: AgainstTest,
  source: MatchedSource,
  torn: Torn,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const name = `${source.label}_missing`;
  const { file, keys } = test;
  const field = file.descriptor.schema.fields.find((other) => other.name === name);
  if (field?.type.kind !== 'flat' || field.type.dtype !== 'u8' || source.columns.has(name)) return [];
  const lumis = lumisOnce(source);
  const whole = source.selected === undefined ? undefined : mergeRows(keys, source.keys);
  const wrong: number[] = [];
  let text = '';
  for (const range of rowRanges(file)) {
    const column = (await readGood(file, [name], range, torn, signal)).get(name) as FlatColumn | undefined;
    for (let i = 0; column !== undefined && i < column.length; i++) {
      const row = range.start + i;
      const right =
        whole !== undefined && whole[row]! >= 0 && source.rowOf[row]! < 0 ? 4 : reasonOf(source, keys, lumis, row);
      if (column.values[i] === right) continue;
      if (wrong.length === 0) text = `${name} is ${column.values[i]}, should be ${right}`;
      wrong.push(row);
    }
  }
  if (wrong.length === 0) return [];
  const first = wrong.slice(0, OFFENDERS_MAX).map((row) => outputOffender(test, row));
  return [
    finding(
      'verify/flag-differs',
      `${text} for ${first[0]!.key} (entry ${wrong[0]}), ${counted(wrong.length, 'row')} in all`,
      {
        count: wrong.length,
        columns: [name],
        first,
      },
    ),
  ];
}

/** The lumi blocks of a source, counted when the first event is missing. */
function lumisOnce({ keys }: MatchedSource): () => LumiEvents {
  let lumis: LumiEvents | undefined;
  return () => {
    if (lumis === undefined) {
      lumis = new Map();
      addLumis(lumis, keys.keys);
    }
    return lumis;
  };
}

function reasonOf(source: MatchedSource, { keys }: SortedKeys, lumis: () => LumiEvents, row: number): number {
  if (source.rowOf[row]! >= 0) return 0;
  const lumi = lumiOf(keys, row);
  return lumi === undefined || lumis().has(lumi) ? 1 : 2;
}

function foreign(test: AgainstTest, sources: readonly MatchedSource[]): Finding[] {
  const rows: number[] = [];
  for (let row = 0; row < test.keys.keys.rows; row++) if (sources.every(({ rowOf }) => rowOf[row]! < 0)) rows.push(row);
  if (rows.length === 0) return [];
  const first = rows.slice(0, OFFENDERS_MAX).map((row) => outputOffender(test, row));
  return [
    finding('verify/rows-foreign', `${counted(rows.length, 'row')} that no source has`, { count: rows.length, first }),
  ];
}
