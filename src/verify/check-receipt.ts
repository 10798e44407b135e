// Owns check 2: what a file holds against what its receipt says, without the sources.
import { ColweaveError } from '../core/errors.ts';
import type { Receipt, ReceiptColumn } from '../core/receipt.ts';
import { typeName } from '../core/schema.ts';
import { type Seal, sealHex } from '../core/seal.ts';
import type { SourceFile } from '../source/types.ts';
import type { BlockSeals, Flags, TornColumn } from './block.ts';
import { counted, type Finding, type FindingDetail, finding, named, OFFENDERS_MAX } from './findings.ts';
import { checkTitles } from './identity.ts';
import type { KeyFacts } from './key-facts.ts';
import { compareLumis, expandLumis } from './lumi.ts';
import { errorText } from './output-file.ts';
import type { RowGroupCheck } from './row-groups.ts';

export interface FileUnderTest {
  readonly path: string;
  readonly file: SourceFile;
  readonly receipt: Receipt;
  readonly keys: KeyFacts;
}

/** What was read of the file and summed up. */
export interface FileContent {
  readonly seals: BlockSeals;
  readonly torn: ReadonlyMap<string, TornColumn>;
  readonly groups: RowGroupCheck;
}

export function checkReceipt(test: FileUnderTest, { seals, torn, groups }: FileContent): readonly Finding[] {
  const { receipt } = test;
  const findings = [
    ...tornColumns(torn),
    ...checkSchema(test),
    ...checkTitles(test.file, receipt),
    ...checkRows(test, seals.keys),
  ];
  const rowsHold = seals.keys.present === receipt.output.rows && sealHex(seals.keys) === receipt.output.keySeal;
  if (rowsHold) findings.push(...checkColumns(receipt, { seals, torn, groups }), ...checkFlags(receipt, seals, torn));
  if (findings.length > 0) return [...findings, ...changedGroups(groups)];
  return [...rewritten(groups, test), ...checkOrder(receipt, seals)];
}

/** Source label a column came from and the flag that tells its rows; only where fill values make the seals differ. */
export function flagsOf({ sources, output }: Receipt): Flags {
  const names = new Set(output.columns.map(({ name }) => name));
  const filled = new Set(output.columns.filter((column) => (column.filled ?? 0) > 0).map(({ name }) => name));
  const flags = new Map<string, string>();
  for (const { label, columns } of sources) {
    const flag = `${label}_missing`;
    if (!names.has(flag)) continue;
    for (const { name } of columns) if (filled.has(name)) flags.set(name, flag);
  }
  return flags;
}

export function tornColumns(torn: FileContent['torn']): Finding[] {
  if (torn.size === 0) return [];
  const [first] = torn.values();
  const names = [...torn.keys()];
  const text = `${named(names)} cannot be read: ${errorText(first!)}`;
  return [finding('verify/damaged', text, { count: names.length, columns: names })];
}

/** `f32[3]` is stored as a list: sizes are sealed, types are compared without them. */
function plainType(type: string): string {
  const fixed = /^(.*)\[\d+\]$/.exec(type);
  return fixed === null
    ? type.replace(/^list<(.*)>$/, (_, item: string) => `list<${plainType(item)}>`)
    : `list<${plainType(fixed[1]!)}>`;
}

function checkSchema({ file, receipt }: FileUnderTest): Finding[] {
  const there = new Map(file.descriptor.schema.fields.map(({ name, type }) => [name, typeName(type)]));
  for (const { name, type } of file.unreadable) there.set(name, type);
  const written = new Map(receipt.output.columns.map(({ name, type }) => [name, type]));
  const absent = [...written.keys()].filter((name) => !there.has(name));
  const extra = [...there.keys()].filter((name) => !written.has(name));
  const changed = [...written].filter(
    ([name, type]) => there.has(name) && plainType(there.get(name)!) !== plainType(type),
  );
  const say = (names: readonly string[], text: string) =>
    names.length === 0 ? [] : [finding('verify/schema-differs', text, { count: names.length, columns: names })];
  return [
    ...say(absent, `${named(absent)}: in the receipt, not in the file`),
    ...say(extra, `${named(extra)}: in the file, not in the receipt`),
    ...say(
      changed.map(([name]) => name),
      `types changed: ${named(changed.map(([name, type]) => `${name} is ${there.get(name)} and was ${type}`))}`,
    ),
  ];
}

function checkRows(test: FileUnderTest, seal: Seal): Finding[] {
  const { receipt, keys } = test;
  const { repeated } = keys;
  const detail = (): FindingDetail => ({
    count: repeated,
    lumis: distinct(keys.first.map(({ lumi }) => lumi)),
    first: keys.first.slice(0, OFFENDERS_MAX).map(({ key, row }) => ({ key, file: test.path, entry: row })),
  });
  const { rows } = receipt.output;
  if (seal.present === rows && sealHex(seal) === receipt.output.keySeal) {
    const once = ['error', 'first-by-source'].includes(String(receipt.policies.duplicates));
    if (repeated === 0 || !once) return [];
    return [finding('verify/duplicate-key', `${counted(repeated, 'row')} with the key of an earlier row`, detail())];
  }
  const events = seal.present - repeated;
  const { fewer, more } = lumiDifference(receipt, keys);
  const findings: Finding[] = [];
  if (repeated > 0) {
    const where = detail().lumis ?? [];
    findings.push(finding('verify/rows-doubled', `${counted(repeated, 'row')} there twice${at(where)}`, detail()));
  }
  if (events < rows) {
    const text = `${counted(rows - events, 'row')} of ${rows} lost${at(fewer)}`;
    findings.push(finding('verify/rows-lost', text, { count: rows - events, lumis: fewer }));
  }
  if (events > rows) {
    const text = `${counted(events - rows, 'row')} that the join did not write${at(more)}`;
    findings.push(finding('verify/rows-foreign', text, { count: events - rows, lumis: more }));
  }
  if (findings.length > 0) return findings;
  const where = [...fewer, ...more];
  const text = `as many rows as were written, but other keys${at(where)}`;
  return [finding('verify/key-differs', text, { columns: receipt.spec.on as string[], lumis: where })];
}

function at(lumis: readonly string[]): string {
  return lumis.length === 0 ? '' : ` in run:lumi ${named(lumis)}`;
}

function distinct(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined))];
}

function lumiDifference(receipt: Receipt, keys: KeyFacts) {
  const expected = expandLumis(receipt.lumis.out, receipt.output.rows);
  return expected === undefined || receipt.lumis.out.length === 0
    ? { fewer: [], more: [] }
    : compareLumis(keys.lumis(), expected);
}

function checkColumns(receipt: Receipt, { seals, torn, groups }: FileContent): Finding[] {
  const columns = receipt.output.columns.filter(({ name }) => seals.columns.has(name) && !torn.has(name));
  const bad = columns.filter((column) => !holds(column, seals.columns.get(column.name)!));
  if (bad.length === 0) return [];
  const pairs = exchangedPairs(bad, seals);
  const exchanged = new Set(pairs.flat());
  const findings = pairs.map((pair) =>
    finding('verify/columns-exchanged', `${pair[0]} holds the values of ${pair[1]}, and the other way round`, {
      count: 2,
      columns: pair,
    }),
  );
  const rest = bad.filter(({ name }) => !exchanged.has(name));
  if (rest.length === 0) return findings;
  const names = rest.map(({ name }) => name);
  const untouched = !groups.regrouped && groups.changed.length === 0;
  const why = untouched ? '; the stored pages are as written, so the receipt or the footer was changed' : '';
  const text = `${named(names)} ${names.length === 1 ? 'does' : 'do'} not hold what was joined${nullText(rest, seals)}${why}`;
  return [...findings, finding('verify/column-differs', text, { count: names.length, columns: names })];
}

function holds({ present, seal }: ReceiptColumn, actual: Seal): boolean {
  return actual.present === present && sealHex(actual) === seal;
}

/** Columns of which each has just the seal that the other should have. */
function exchangedPairs(bad: readonly ReceiptColumn[], seals: BlockSeals): string[][] {
  const byName = new Map(bad.map((column) => [column.name, column]));
  const bySeal = new Map(bad.map((column) => [column.seal, column.name]));
  const pairs: string[][] = [];
  for (const { name } of bad) {
    const other = bySeal.get(sealHex(seals.columns.get(name)!));
    if (other === undefined || name >= other) continue;
    if (holds(byName.get(name)!, seals.columns.get(other)!)) pairs.push([name, other]);
  }
  return pairs;
}

function nullText(bad: readonly ReceiptColumn[], seals: BlockSeals): string {
  const first = bad.find(({ name, present }) => seals.columns.get(name)!.present !== present);
  if (first === undefined) return '';
  const now = seals.columns.get(first.name)!.present;
  return ` (${first.name}: ${counted(now, 'value')} where ${first.present} were written, the others null)`;
}

/** With fill values the output's seal is the output's own; the rows that the flags call present have the source's. */
function checkFlags({ sources }: Receipt, { moved }: BlockSeals, torn: FileContent['torn']): Finding[] {
  const bad = sources.flatMap(({ columns }) =>
    columns.filter(
      (column) => moved.has(column.name) && !torn.has(column.name) && !holds(column, moved.get(column.name)!),
    ),
  );
  if (bad.length === 0) return [];
  const names = bad.map(({ name }) => name);
  const text = `${named(names)}: the rows flagged as present do not hold what the source had`;
  return [finding('verify/flag-differs', text, { count: names.length, columns: names })];
}

function changedGroups({ changed }: RowGroupCheck): Finding[] {
  if (changed.length === 0) return [];
  const where = changed.map(({ index, start, end }) => `${index} (rows ${start} to ${end - 1})`);
  const text = `the stored bytes of row group ${named(where)} are not those that were written`;
  return [finding('verify/rowgroup-differs', text, { count: changed.length })];
}

function rewritten({ regrouped, changed }: RowGroupCheck, { file }: FileUnderTest): Finding[] {
  if (!regrouped && changed.length === 0 && file.descriptor.format === 'parquet') return [];
  if (file.descriptor.format !== 'parquet') return [];
  const text =
    'written again by another tool: every value is with the event it belongs to, the stored bytes are others';
  return [finding('verify/rewritten', text)];
}

function checkOrder({ output }: Receipt, { order }: BlockSeals): Finding[] {
  if (output.order === undefined || sealHex(order) === output.order) return [];
  return [finding('verify/order-lost', 'the rows are in another order than the join wrote them')];
}

/** A failure to read the file under test is a finding; a failure of our own is not. */
export function asFinding(error: unknown): Finding {
  if (!(error instanceof ColweaveError)) throw error;
  if (error.code === 'key/negative')
    return finding('verify/key-differs', `a key is no key any more: ${errorText(error)}`);
  if (error.code.startsWith('key/')) return finding('verify/schema-differs', errorText(error));
  return finding('verify/damaged', errorText(error));
}
