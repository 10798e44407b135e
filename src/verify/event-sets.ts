// Owns the algebra of event sets: same events, subset, disjoint, between any files, by two ascending streams of keys.
import type { KeySpec } from '../core/key-spec.ts';
import { keyStride, keyText } from '../core/key-spec.ts';
import type { SourceFile } from '../source/types.ts';
import { counted, type Finding, type FindingCode, finding, named, OFFENDERS_MAX, type Offender } from './findings.ts';
import { type EventSet, type KeyStream, type SortedSet, type SortLimits, sortSet } from './key-runs.ts';
import { lumiOf } from './lumi.ts';

export type Relation = 'same-events' | 'subset-of' | 'disjoint';

export interface SetCounts {
  /** Events of both sets, of the left one alone, of the right one alone. */
  readonly both: number;
  readonly onlyLeft: number;
  readonly onlyRight: number;
  /** Rows with the key of an earlier row of their own set. */
  readonly repeatedLeft: number;
  readonly repeatedRight: number;
}

export interface SetReport extends SetCounts {
  readonly findings: readonly Finding[];
}

/** Lumi blocks remembered for a finding. */
const LUMIS_KEPT = 1000;

export function eventSet(files: readonly SourceFile[]): EventSet {
  return { files, rows: files.reduce((sum, { descriptor }) => sum + descriptor.rows, 0) };
}

/** The file and the entry in it of a row of the set. */
export function locateInSet({ files }: EventSet, row: number): { readonly file: string; readonly entry: number } {
  let entry = row;
  for (const { descriptor } of files) {
    if (entry < descriptor.rows) return { file: descriptor.uri, entry };
    entry -= descriptor.rows;
  }
  throw new Error(`invariant broken: row ${row} lies in a file of the set`);
}

/** Counts, and what was met first, by key. */
interface Tally {
  readonly set: EventSet;
  readonly spec: KeySpec;
  readonly first: Offender[];
  readonly lumis: Set<string>;
  count: number;
}

const tallyOf = (set: EventSet, spec: KeySpec): Tally => ({ set, spec, first: [], lumis: new Set(), count: 0 });

function addTo(tally: Tally, stream: KeyStream): void {
  const { set, spec, first, lumis } = tally;
  tally.count++;
  if (first.length >= OFFENDERS_MAX && lumis.size >= LUMIS_KEPT) return;
  const stride = keyStride(spec);
  const keys = { spec, rows: 1, stride, words: stream.words().slice(stream.at(), stream.at() + stride) };
  const lumi = lumiOf(keys, 0);
  if (lumi !== undefined && lumis.size < LUMIS_KEPT) lumis.add(lumi);
  if (first.length < OFFENDERS_MAX) first.push({ key: keyText(keys, 0), ...locateInSet(set, stream.row()) });
}

/** Errors: those of reading keys, memory/not-enough. */
export async function compareSets(
  relation: Relation,
  { left, right }: { readonly left: EventSet; readonly right: EventSet },
  spec: KeySpec,
  limits: SortLimits,
): Promise<SetReport> {
  const sorted: SortedSet[] = [];
  const half = { ...limits, memoryBytes: limits.memoryBytes / 2 };
  try {
    for (const set of [left, right]) sorted.push(await sortSet(set, spec, half));
    const [a, b] = sorted.map(({ stream }) => stream) as [KeyStream, KeyStream];
    const tallies = {
      both: tallyOf(left, spec),
      onlyLeft: tallyOf(left, spec),
      onlyRight: tallyOf(right, spec),
      repeatedLeft: tallyOf(left, spec),
      repeatedRight: tallyOf(right, spec),
    };
    walk(a, b, keyStride(spec), tallies, limits.signal);
    const counts = Object.fromEntries(Object.entries(tallies).map(([name, { count }]) => [name, count]));
    return { ...(counts as unknown as SetCounts), findings: findingsOf(relation, tallies) };
  } finally {
    for (const { close } of sorted) close();
  }
}

/** Rows of one set that repeat the key of an earlier one. */
export async function repeatedIn(set: EventSet, spec: KeySpec, limits: SortLimits): Promise<Finding[]> {
  const { stream, close } = await sortSet(set, spec, limits);
  try {
    const tally = tallyOf(set, spec);
    const step = stepper(stream, keyStride(spec), tally);
    while (step());
    return say(tally, 'verify/duplicate-key', (count) => `${counted(count, 'row')} with the key of another row`);
  } finally {
    close();
  }
}

type Tallies = Readonly<Record<keyof SetCounts, Tally>>;

/** Rows between two looks at whether the user wants to stop. */
const STEPS = 1 << 20;

function walk(a: KeyStream, b: KeyStream, stride: number, tallies: Tallies, signal: AbortSignal): void {
  const nextA = stepper(a, stride, tallies.repeatedLeft);
  const nextB = stepper(b, stride, tallies.repeatedRight);
  let hasA = nextA();
  let hasB = nextB();
  for (let steps = 0; hasA || hasB; steps++) {
    if (steps % STEPS === 0) signal.throwIfAborted();
    const order = !hasA ? 1 : !hasB ? -1 : compareAt(a, b, stride);
    if (order < 0) addTo(tallies.onlyLeft, a);
    else if (order > 0) addTo(tallies.onlyRight, b);
    else addTo(tallies.both, a);
    if (order <= 0) hasA = nextA();
    if (order >= 0) hasB = nextB();
  }
}

function compareAt(left: KeyStream, right: KeyStream, stride: number): number {
  const a = left.words();
  const b = right.words();
  for (let k = 0, p = left.at(), q = right.at(); k < stride; k++, p++, q++) {
    if (a[p] !== b[q]) return a[p]! < b[q]! ? -1 : 1;
  }
  return 0;
}

/** Goes to the next row of another key; rows that repeat the last key are tallied. */
function stepper(stream: KeyStream, stride: number, repeated: Tally): () => boolean {
  const last = new Uint32Array(stride);
  let any = false;
  return () => {
    while (stream.next()) {
      const words = stream.words();
      const at = stream.at();
      let same = any;
      for (let k = 0; k < stride; k++) {
        if (words[at + k] === last[k]) continue;
        same = false;
        last[k] = words[at + k]!;
      }
      any = true;
      if (!same) return true;
      addTo(repeated, stream);
    }
    return false;
  };
}

function findingsOf(relation: Relation, tallies: Tallies): Finding[] {
  const { both, onlyLeft, onlyRight, repeatedLeft, repeatedRight } = tallies;
  const repeats = [
    ...say(
      repeatedLeft,
      'verify/duplicate-key',
      (n) => `${counted(n, 'row')} with the key of another row of the files under test`,
    ),
    ...say(
      repeatedRight,
      'verify/duplicate-key',
      (n) => `${counted(n, 'row')} with the key of another row of the files compared with`,
    ),
  ];
  if (relation === 'disjoint')
    return [...say(both, 'verify/events-shared', (n, at) => `${counted(n, 'event')} in both${at}`), ...repeats];
  const extra = say(
    onlyLeft,
    'verify/events-extra',
    (n, at) => `${counted(n, 'event')} that the files compared with do not have${at}`,
  );
  if (relation === 'subset-of') return [...extra, ...repeats];
  const absent = say(
    onlyRight,
    'verify/events-absent',
    (n, at) => `${counted(n, 'event')} of the files compared with not there${at}`,
  );
  return [...absent, ...extra, ...repeats];
}

function say(tally: Tally, code: FindingCode, text: (count: number, at: string) => string): Finding[] {
  if (tally.count === 0) return [];
  const lumis = [...tally.lumis];
  const at = lumis.length === 0 ? '' : `, in run:lumi ${named(lumis)}`;
  return [finding(code, text(tally.count, at), { count: tally.count, lumis, first: tally.first })];
}
