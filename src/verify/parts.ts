// Owns whether the parts of a batch of joins add up: same options, every primary file once, every event once, no row lost.
import { basename } from 'node:path';
import { canonicalJson, type FileIdentity, type Receipt } from '../core/receipt.ts';
import { addSeals, NO_SEAL, sealFromHex, sealHex } from '../core/seal.ts';
import { counted, type Finding, finding, named } from './findings.ts';
import { compareLumis, expandLumis, type LumiEvents } from './lumi.ts';

export interface Part {
  readonly path: string;
  readonly receipt: Receipt;
}

/** What the receipts of all parts say together; that each holds is checked part by part, that no event is twice by its keys. */
export function checkParts(parts: readonly Part[]): readonly Finding[] {
  return [...otherOptions(parts), ...[...groups(parts).values()].flatMap(checkJoin), ...primaryTwice(parts)];
}

/** What was asked, without what may differ from job to job. */
function asked({ receipt }: Part): string {
  const { rowGroupRows: _, ...spec } = receipt.spec;
  return canonicalJson([spec, receipt.policies, receipt.sources.map(({ label }) => label)]);
}

function otherOptions(parts: readonly Part[]): Finding[] {
  const byOptions = Map.groupBy(parts, asked);
  if (byOptions.size < 2) return [];
  const [, ...others] = [...byOptions.values()].sort((left, right) => right.length - left.length);
  const names = others.flat().map(({ path }) => basename(path));
  return [
    finding('verify/part-differs', `joined with other options than the rest: ${named(names)}`, { count: names.length }),
  ];
}

const idOf = ({ id, size, tree, entries }: FileIdentity): string => canonicalJson([id, size, tree ?? null, entries]);

/** Parts of one join into a directory have the same primary files; jobs of a batch have files of their own. */
function groups(parts: readonly Part[]): Map<string, Part[]> {
  return Map.groupBy(parts, ({ receipt }) => receipt.sources[0]!.files.map(({ identity }) => idOf(identity)).join());
}

/** A left join that selects nothing keeps every row of its primary: the key seals of its parts add up to the primary's. */
function checkJoin(parts: readonly Part[]): Finding[] {
  const { spec, policies, sources, lumis } = parts[0]!.receipt;
  const [primary] = sources;
  const selects = (value: unknown) => value !== undefined && value !== null;
  if (spec.how !== 'left' || policies.missing === 'drop' || policies.duplicates !== 'error' || selects(spec.where))
    return [];
  const rows = parts.reduce((sum, { receipt }) => sum + receipt.output.rows, 0);
  const seal = parts.reduce((sum, { receipt }) => {
    const { keySeal, rows: own } = receipt.output;
    return addSeals(sum, sealFromHex(keySeal, own));
  }, NO_SEAL);
  if (rows === primary!.rows && sealHex(seal) === primary!.keySeal) return [];
  const { fewer, more } = lumiDifference(parts, expandLumis(lumis.in, primary!.rows));
  const files = named(primary!.files.map(({ name }) => name));
  if (rows < primary!.rows) {
    const count = primary!.rows - rows;
    return [finding('verify/rows-lost', `${counted(count, 'event')} of ${files} in no part`, { count, lumis: fewer })];
  }
  const count = Math.max(1, rows - primary!.rows);
  const what = rows > primary!.rows ? `${counted(count, 'event')} too many` : 'other events than it has';
  return [finding('verify/rows-doubled', `the parts of ${files} hold ${what}`, { count, lumis: more })];
}

function lumiDifference(parts: readonly Part[], expected: LumiEvents | undefined) {
  const actual: LumiEvents = new Map();
  for (const { receipt } of parts) {
    for (const [name, count] of expandLumis(receipt.lumis.out, receipt.output.rows) ?? [])
      actual.set(name, (actual.get(name) ?? 0) + count);
  }
  return expected === undefined ? { fewer: [], more: [] } : compareLumis(actual, expected);
}

/** A primary file in two joins of the batch: a job was done twice, or two jobs got the same file. */
function primaryTwice(parts: readonly Part[]): Finding[] {
  const seen = new Map<
    string,
    { readonly name: string; readonly rows: number; readonly group: string; readonly path: string }
  >();
  const findings: Finding[] = [];
  for (const [group, members] of groups(parts)) {
    for (const { name, identity, rows } of members[0]!.receipt.sources[0]!.files) {
      const { path } = members[0]!;
      const before = seen.get(idOf(identity));
      seen.set(idOf(identity), { name, rows, group, path });
      if (before === undefined || before.group === group) continue;
      const text = `${name} is the primary of ${basename(before.path)} and of ${basename(path)}: its events are there twice`;
      findings.push(finding('verify/rows-doubled', text, { count: rows }));
    }
  }
  return findings;
}
