// Owns which events an output must hold: recomputed from the keys of the sources alone, by sort and merge.
import { keyText } from '../core/key-spec.ts';
import type { Receipt } from '../core/receipt.ts';
import { locateRow } from '../source/dataset.ts';
import type { GivenSource } from './find-sources.ts';
import { counted, type Finding, finding, named, OFFENDERS_MAX, type Offender } from './findings.ts';
import { lumiOf } from './lumi.ts';
import { invertRows, mergeRows, repeatedRows, type SortedKeys } from './sort-merge.ts';

/** A source with its keys, and where each output row is in it (-1 = nowhere). */
export interface MatchedSource extends GivenSource {
  readonly keys: SortedKeys;
  readonly rowOf: Int32Array;
  /** One byte a row of the source: 0 = a selection cut it there, so that it is not in the output; absent = all count. */
  readonly selected?: Uint8Array;
}

export interface OutputKeys {
  readonly path: string;
  readonly keys: SortedKeys;
}

/** All sources of the receipt, in its order. */
export function checkEvents(output: OutputKeys, sources: readonly MatchedSource[], receipt: Receipt) {
  const how = String(receipt.spec.how);
  const required = sources.map(({ index }) => isRequired(how, String(receipt.policies.missing), index));
  const lost = expectedRows(sources, how, required, receipt);
  const kept = withoutOtherParts(lost, receipt);
  return {
    findings: [
      ...lostFinding(kept.segments),
      ...doubledFinding(output),
      ...foreignFinding(output, sources, how, required),
      ...orderFinding(output, sources),
      ...(receipt.policies.duplicates === 'first-by-source' ? overlapFindings(sources[0]!, receipt) : []),
    ],
    /** Part of a join into a directory: other files hold the rest. */
    part: kept.part,
  };
}

/** Must every output row have an event of this source? */
function isRequired(how: string, missing: string, index: number): boolean {
  if (how === 'inner') return true;
  if (how === 'left') return index === 0 || missing === 'drop';
  return how === 'right' && index === 1;
}

/** Rows that go to one output file of a directory: those of one primary file, or those only one friend has. */
interface Segment {
  readonly name: string;
  expected: number;
  readonly lost: { readonly source: MatchedSource; readonly row: number }[];
  lostCount: number;
  readonly lumis: Set<string>;
}

/** Lost rows kept for lumi names; the count goes on. */
const LOST_KEPT = 1000;

function expectedRows(
  sources: readonly MatchedSource[],
  how: string,
  required: readonly boolean[],
  { part, policies }: Receipt,
): readonly Segment[] {
  const segments: Segment[] = [];
  const primaryHolds = how !== 'right';
  const firstBySource = policies.duplicates === 'first-by-source';
  for (const source of sources) {
    const s = source.index;
    const holds = s === 0 ? primaryHolds : how === 'outer' || how === 'right';
    if (!holds) continue;
    const inOutput = invertRows(source.rowOf, source.keys.keys.rows);
    const inOthers = sources.map((other, o) =>
      other !== source && (o < s || required[o]) ? withoutCut(mergeRows(source.keys, other.keys), other) : undefined,
    );
    const byFile = new Map<string, Segment>();
    const repeated = new Set(s === 0 && firstBySource ? repeatedRows(source.keys).map((twin) => twin.row) : []);
    for (let row = 0; row < inOutput.length; row++) {
      if (source.selected?.[row] === 0) continue;
      if (repeated.has(row)) continue; // an earlier primary dataset has it
      if (how !== 'right' && inOthers.some((rows, o) => rows !== undefined && o < s && rows[row]! >= 0)) continue;
      if (inOthers.some((rows, o) => rows !== undefined && required[o] && rows[row]! < 0)) continue;
      const primaryRow = inOthers[0]?.[row] ?? -1;
      const name =
        part === undefined ? segmentOf(sources, source, primaryRow, row) : partOf(part, source, primaryRow, row);
      let segment = byFile.get(name);
      if (segment === undefined) {
        segment = { name, expected: 0, lost: [], lostCount: 0, lumis: new Set() };
        byFile.set(name, segment);
      }
      segment.expected++;
      if (inOutput[row]! >= 0) continue;
      segment.lostCount++;
      if (segment.lost.length >= LOST_KEPT) continue;
      segment.lost.push({ source, row });
      const lumi = lumiOf(source.keys.keys, row);
      if (lumi !== undefined) segment.lumis.add(lumi);
    }
    segments.push(...byFile.values());
  }
  return segments;
}

/** Rows of `other` that its selection cut are as absent. Gives `rowOf`, changed in place. */
export function withoutCut(rowOf: Int32Array, { selected }: Pick<MatchedSource, 'selected'>): Int32Array {
  if (selected === undefined) return rowOf;
  for (let i = 0; i < rowOf.length; i++) if (rowOf[i]! >= 0 && selected[rowOf[i]!] === 0) rowOf[i] = -1;
  return rowOf;
}

function segmentOf(sources: readonly MatchedSource[], source: MatchedSource, primaryRow: number, row: number): string {
  if (source.index === 0) return locateRow(source.dataset.descriptor, row).uri;
  if (primaryRow >= 0) return locateRow(sources[0]!.dataset.descriptor, primaryRow).uri;
  return `only ${source.label}`;
}

const THIS_PART = 'this part';

/** The receipt of one file of a directory says which rows of which source it answers for. */
function partOf(part: NonNullable<Receipt['part']>, source: MatchedSource, primaryRow: number, row: number): string {
  const owner = source.index === 0 || primaryRow >= 0 ? 0 : source.index;
  const at = source.index !== 0 && owner === 0 ? primaryRow : row;
  return owner === part.source && at >= part.start && at < part.end ? THIS_PART : 'another part';
}

/** One file of `-o dir/` holds whole segments; the receipt's row count tells that the others were never in it. */
function withoutOtherParts(segments: readonly Segment[], { output, part: own }: Receipt) {
  if (own !== undefined) {
    return {
      segments: segments.filter(({ name }) => name === THIS_PART),
      part: segments.some(({ name }) => name !== THIS_PART),
    };
  }
  const touched = segments.filter(({ expected, lostCount }) => lostCount < expected);
  const expected = touched.reduce((sum, segment) => sum + segment.expected, 0);
  const part = touched.length < segments.length && expected === output.rows;
  return { segments: part ? touched : segments, part };
}

function lostFinding(segments: readonly Segment[]): Finding[] {
  const count = segments.reduce((sum, segment) => sum + segment.lostCount, 0);
  if (count === 0) return [];
  const lumis = [...new Set(segments.flatMap((segment) => [...segment.lumis]))];
  const first = segments
    .flatMap(({ lost }) => lost.slice(0, OFFENDERS_MAX))
    .map(({ source, row }) => sourceOffender(source, row));
  const where = lumis.length === 0 ? '' : ` in run:lumi ${named(lumis)}`;
  return [
    finding('verify/rows-lost', `${counted(count, 'event')} of the sources lost${where}`, { count, lumis, first }),
  ];
}

/** No join writes an event twice: duplicates stop it, or are left out. */
export function doubledFinding(output: OutputKeys): Finding[] {
  const repeated = repeatedRows(output.keys);
  if (repeated.length === 0) return [];
  const first = repeated.slice(0, OFFENDERS_MAX).map(({ row }) => outputOffender(output, row));
  const count = repeated.length;
  return [finding('verify/rows-doubled', `${counted(count, 'row')} with the key of an earlier row`, { count, first })];
}

function foreignFinding(
  output: OutputKeys,
  sources: readonly MatchedSource[],
  how: string,
  required: readonly boolean[],
): Finding[] {
  const first: Offender[] = [];
  const lumis = new Set<string>();
  let count = 0;
  for (let row = 0; row < output.keys.keys.rows; row++) {
    const known = sources.some(({ rowOf }) => rowOf[row]! >= 0);
    const complete = sources.every(({ rowOf, index }) => !required[index] || rowOf[row]! >= 0);
    if (known && complete && (how !== 'left' || sources[0]!.rowOf[row]! >= 0)) continue;
    count++;
    if (first.length < OFFENDERS_MAX) first.push(outputOffender(output, row));
    const lumi = lumis.size < LOST_KEPT ? lumiOf(output.keys.keys, row) : undefined;
    if (lumi !== undefined) lumis.add(lumi);
  }
  if (count === 0) return [];
  const where = lumis.size === 0 ? '' : ` in run:lumi ${named([...lumis])}`;
  return [
    finding('verify/rows-foreign', `${counted(count, 'row')} that the sources do not give${where}`, {
      count,
      lumis: [...lumis],
      first,
    }),
  ];
}

/** The primary's order, then what only the first friend has in its order, and so on. */
function orderFinding(output: OutputKeys, sources: readonly MatchedSource[]): Finding[] {
  let lastOwner = 0;
  let lastRow = -1;
  for (let row = 0; row < output.keys.keys.rows; row++) {
    const owner = sources.findIndex(({ rowOf }) => rowOf[row]! >= 0);
    if (owner < 0) continue;
    const at = sources[owner]!.rowOf[row]!;
    if (owner < lastOwner || (owner === lastOwner && at < lastRow)) {
      const text = 'the rows are not in the order of the sources';
      return [finding('verify/order-lost', text, { first: [outputOffender(output, row)] })];
    }
    lastOwner = owner;
    lastRow = at;
  }
  return [];
}

/** What the receipt says of events that several primary datasets have, counted again; one of them twice in one dataset is none of these. */
function overlapFindings(primary: MatchedSource, receipt: Receipt): Finding[] {
  const groups = (receipt.spec.primaryDatasets ?? []) as readonly { readonly label: string; readonly files: number }[];
  const { files } = primary.dataset.descriptor;
  const labels = groups.flatMap(({ label, files: count }) => new Array<string>(count).fill(label));
  const labelOf = (row: number) =>
    labels[files.findLastIndex(({ firstRow, descriptor }) => firstRow <= row && descriptor.rows > 0)];
  const counts = new Map<string, number>();
  const twice: number[] = [];
  const seen = new Set<string>();
  for (const { row, first } of repeatedRows(primary.keys)) {
    const pair = `${labelOf(first)} and ${labelOf(row)}`;
    const again = `${labelOf(row)} ${first}`;
    if (labelOf(first) === labelOf(row) || seen.has(again)) twice.push(row);
    else counts.set(pair, (counts.get(pair) ?? 0) + 1);
    seen.add(again);
  }
  const stated = new Map(
    (receipt.sources[0]?.overlaps ?? []).map(({ kept, dropped, rows }) => [`${kept} and ${dropped}`, rows]),
  );
  const wrong = [...new Set([...counts.keys(), ...stated.keys()])].filter(
    (pair) => counts.get(pair) !== stated.get(pair),
  );
  const findings = wrong.map((pair) =>
    finding(
      'verify/duplicate-key',
      `${pair} share ${counts.get(pair) ?? 0} events, the receipt says ${stated.get(pair) ?? 0}`,
    ),
  );
  if (twice.length === 0) return findings;
  const first = twice.slice(0, OFFENDERS_MAX).map((row) => sourceOffender(primary, row));
  const text = `${counted(twice.length, 'event')} twice in one primary dataset`;
  return [...findings, finding('verify/duplicate-key', text, { count: twice.length, first })];
}

export function outputOffender({ path, keys }: OutputKeys, row: number): Offender {
  return { key: keyText(keys.keys, row), file: path, entry: row };
}

export function sourceOffender({ dataset, keys }: MatchedSource, row: number): Offender {
  const { uri, entry } = locateRow(dataset.descriptor, row);
  return { key: keyText(keys.keys, row), file: uri, entry };
}
