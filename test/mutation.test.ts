// Every way of corrupting an output or its receipt is found, with its code; untouched outputs raise no finding.
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JoinOptions } from '../src/command/types.ts';
import { canonicalJson, type Receipt, receiptText } from '../src/core/receipt.ts';
import { parquetRowGroups } from '../src/source/parquet.ts';
import { openSource } from '../src/source/registry.ts';
import {
  codes,
  FRIENDS,
  fixture,
  makeOutput,
  orderOf,
  PRIMARY,
  readTable,
  rowsOf,
  SOURCES,
  scratch,
  takeRows,
  verify,
  verifyAll,
  writeTable,
} from './mutation/harness.ts';
import { KINDS, type Loose, RECEIPT_EDITS } from './mutation/kinds.ts';

const folder = scratch();
const good = join(folder, 'good.parquet');
const bad = join(folder, 'bad.parquet');

beforeAll(() => makeOutput(good));
afterAll(() => rmSync(folder, { recursive: true }));

describe('values', () => {
  it.each(KINDS)('$name', async ({ change, expected }) => {
    const table = await readTable(good);
    change(table);
    await writeTable(bad, table);

    const alone = await verify(bad);
    expect(alone.verdict).toBe('mixed-or-damaged');
    expect(codes(alone.findings)).toEqual(expect.arrayContaining([...expected.codes]));
    const named = alone.findings.flatMap(({ columns }) => columns ?? []);
    expect(named).toEqual(expect.arrayContaining([...(expected.columns ?? [])]));
    const lumis = alone.findings.flatMap((finding) => finding.lumis ?? []);
    expect(lumis).toEqual(expect.arrayContaining([...(expected.lumis ?? [])]));

    const against = await verify(bad, { against: SOURCES });
    expect(against.verdict).toBe('mixed-or-damaged');
    expect(codes(against.findings)).toEqual(expect.arrayContaining([...expected.against]));
    const [first] = against.findings.find(({ code }) => code === expected.against[0])?.first ?? [];
    if (expected.entry !== undefined) {
      expect(first?.key).toMatch(/^run \d+, luminosityBlock \d+, event \d+$/);
      if (expected.entry >= 0) expect(first?.entry).toBe(expected.entry);
    }
  });

  it('the first offending event is told with both values and both places', async () => {
    const table = await readTable(good);
    const rows = rowsOf(table);
    takeRows(table, rows.with(150, 151), ['MET_pt_up']);
    await writeTable(bad, table);
    const { findings } = await verify(bad, { against: SOURCES });
    const finding = findings.find(({ code }) => code === 'verify/value-differs')!;
    expect(finding.text).toMatch(
      /^MET_pt_up is not its source's in 1 event, first run 317001, luminosityBlock 3, event 3730180: 31\.21875 here \(entry 150\), 8\.171875 in .*friend_jes_up\.root \(MET_pt, entry \d+\)$/,
    );
    expect(finding.first?.map(({ file }) => file)).toEqual([bad, FRIENDS.up]);
  });

  it('values are found in the sources alone, without a receipt', async () => {
    const table = await readTable(good);
    table.receipt = undefined;
    takeRows(table, rowsOf(table).with(3, 4), ['genWeight']);
    await writeTable(bad, table);
    rmSync(`${bad}.receipt.json`, { force: true });
    const { findings } = await verify(bad, { against: SOURCES.toReversed() });
    expect(findings.map(({ code, columns }) => [code, columns])).toEqual([['verify/value-differs', ['genWeight']]]);
  });
});

describe('the receipt', () => {
  it.each(RECEIPT_EDITS)('$name', async ({ change, codes: expected, says }) => {
    const table = await readTable(good);
    const receipt = JSON.parse(table.receipt!) as Loose;
    change(receipt);
    await writeTable(bad, { ...table, receipt: sealed(receipt) });
    const report = await verify(bad);
    expect(codes(report.findings)).toEqual(expect.arrayContaining([...expected]));
    expect(report.findings.map(({ text }) => text).join('\n')).toContain(says);
    expect(report.verdict).toBe(expected[0] === 'verify/rewritten' ? 'rewritten' : 'mixed-or-damaged');
  });

  it('any edit that leaves its sha256 as it is', async () => {
    const table = await readTable(good);
    const receipt = JSON.parse(receiptText(JSON.parse(table.receipt!) as Receipt)) as { spec: { sample: string } };
    receipt.spec.sample = 'another sample';
    await writeTable(bad, { ...table, receipt: canonicalJson(receipt) });
    const report = await verify(bad);
    expect(report.verdict).toBe('mixed-or-damaged');
    expect(codes(report.findings)).toEqual(['verify/receipt-edited']);
  });

  it('rows in another order, where the receipt states it', async () => {
    const table = await readTable(good);
    const receipt = JSON.parse(table.receipt!) as Loose;
    receipt.output.order = await orderOf(good);
    await writeTable(bad, { ...table, receipt: sealed(receipt) });
    expect((await verify(bad)).findings).toEqual([]);
    takeRows(table, rowsOf(table).reverse());
    await writeTable(bad, { ...table, receipt: sealed(receipt) });
    expect(codes((await verify(bad)).findings)).toEqual(['verify/rewritten', 'verify/order-lost']);
  });

  it.each([
    ['edited by hand, with white space', (text: string) => text.replace('{', '{ ')],
    ['cut short', (text: string) => text.slice(0, -20)],
    ['another JSON', () => '[1, 2]'],
  ])('%s', async (_, change) => {
    const table = await readTable(good);
    await writeTable(bad, { ...table, receipt: change(table.receipt!) });
    const report = await verify(bad);
    expect(report.verdict).toBe('mixed-or-damaged');
    expect(codes(report.findings)).toEqual(['verify/receipt-edited']);
  });

  it('cut out: refused, and found in the one beside', async () => {
    const table = await readTable(good);
    await writeTable(bad, { ...table, receipt: undefined });
    await expect(verify(bad)).rejects.toMatchObject({ code: 'verify/no-receipt', exit: 3 });
    const given = await verify(bad, { receipt: `${good}.receipt.json` });
    expect([given.verdict, given.findings]).toEqual(['verified', []]);
    const wrong = await verify(good, { receipt: await otherReceipt() });
    expect(codes(wrong.findings)).toContain('verify/receipt-edited');
  });
});

/** As somebody would edit it who knows how the receipt seals itself. */
function sealed(receipt: Loose): string {
  return receipt.sha256 === undefined ? canonicalJson(receipt) : receiptText(receipt as unknown as Receipt);
}

/** The receipt of the same join of other events. */
async function otherReceipt(): Promise<string> {
  const path = join(folder, 'other.parquet');
  await makeOutput(path, { primary: [PRIMARY[1]!] });
  return `${path}.receipt.json`;
}

describe('bytes', () => {
  const write = (bytes: Uint8Array) => writeFileSync(bad, bytes);

  it('the file of another sample under the name', async () => {
    const sidecar = await otherReceipt();
    copyFileSync(good, bad);
    const table = await readTable(bad);
    await writeTable(bad, { ...table, receipt: undefined });
    const report = await verify(bad, { receipt: sidecar });
    expect(codes(report.findings)).toContain('verify/rows-foreign');
    const other = await verify(join(folder, 'other.parquet'), { receipt: `${good}.receipt.json` });
    expect(codes(other.findings)).toContain('verify/rows-lost');
  });

  it('one bit in the pages of a column, whichever', async () => {
    const file = await openSource(good, {});
    const { chunks } = parquetRowGroups(file.descriptor)[0]!;
    await file.close();
    const bytes = readFileSync(good);
    for (const { path, start, bytes: length } of chunks.filter((_, i) => i % 5 === 0)) {
      const copy = Uint8Array.from(bytes);
      copy[start + length - 3]! ^= 0x10;
      write(copy);
      const report = await verify(bad);
      expect(report.verdict, path.join('.')).toBe('mixed-or-damaged');
      expect(codes(report.findings), path.join('.')).toContain('verify/damaged');
    }
  });

  it.each([
    ['a torn page', (bytes: Uint8Array) => bytes.fill(0, 20_000, 24_096)],
    ['the end cut off', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 100)],
    ['half a file', (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1)],
    ['nothing in it', () => new Uint8Array(0)],
    ['zeros', (bytes: Uint8Array) => bytes.fill(0)],
  ])('%s', async (_, change) => {
    write(change(Uint8Array.from(readFileSync(good))));
    const report = await verify(bad);
    expect(report.verdict).toBe('mixed-or-damaged');
    expect(codes(report.findings)).toContain('verify/damaged');
  });

  it('an argument that is absent, or no data', async () => {
    await expect(verify(join(folder, 'absent.parquet'))).rejects.toMatchObject({ code: 'verify/not-data', exit: 3 });
    writeFileSync(join(folder, 'notes.txt'), 'no data\n');
    await expect(verify(join(folder, 'notes.txt'))).rejects.toMatchObject({ code: 'verify/not-data', exit: 3 });
  });
});

describe('a directory of one file a primary file', () => {
  const parts = `${join(folder, 'parts')}/`;
  beforeAll(() => makeOutput(parts, { how: 'outer' }));

  it('is whole: every part holds, alone and against all sources', async () => {
    for (const against of [[], SOURCES]) {
      const files = await verifyAll(parts, { against });
      expect(files.map(({ verdict, findings }) => [verdict, findings])).toEqual(files.map(() => ['verified', []]));
      expect(files.reduce((sum, { rows }) => sum + rows, 0)).toBe(311);
    }
  });

  it('has lost a file, and holds another one', async () => {
    renameSync(join(parts, '1-nano_2.parquet'), join(parts, '7-other.parquet'));
    const [report] = await verifyAll(parts);
    expect(report!.findings.map(({ code, count }) => [code, count])).toEqual([
      ['verify/rows-lost', 120],
      ['verify/rows-foreign', 1],
    ]);
  });
});

describe('sources', () => {
  it('a copy of one friend in the place of another', async () => {
    const changed = join(folder, 'friend_jes_up.root');
    copyFileSync(FRIENDS.dn, changed);
    const { findings } = await verify(good, { against: [...PRIMARY, FRIENDS.dn, FRIENDS.par, changed] });
    expect(codes(findings)).toEqual(expect.arrayContaining(['verify/source-changed', 'verify/value-differs']));
  });

  it('another file under the name of the joined one', async () => {
    const changed = join(folder, 'friend_jes_up.root');
    copyFileSync(fixture('friend_reordered.root'), changed);
    const { findings } = await verify(good, { against: [...PRIMARY, FRIENDS.dn, FRIENDS.par, changed] });
    expect(codes(findings)).toContain('verify/source-changed');
  });

  it('a file that had no part in the join', async () => {
    const { findings } = await verify(good, { against: [...SOURCES, fixture('friend_reordered.root')] });
    expect(codes(findings)).toEqual(['verify/source-unknown']);
  });

  it('one file of three not given', async () => {
    const { findings } = await verify(good, { against: [PRIMARY[0]!, PRIMARY[2]!] });
    expect(codes(findings)).toEqual(['verify/source-absent']);
  });
});

describe('no false alarm', () => {
  it.each([
    ['left', {}],
    ['inner', { how: 'inner' as const }],
    ['outer, one friend', { how: 'outer' as const, friends: [{ label: 'par', files: [FRIENDS.par] }] }],
    ['outer, three friends', { how: 'outer' as const }],
    ['right', { how: 'right' as const, friends: [{ label: 'par', files: [FRIENDS.par] }] }],
    ['nano, filled', { layout: 'nano' as const, missing: { kind: 'fill' as const, value: '0' } }],
    ['nano, dropped', { layout: 'nano' as const, missing: { kind: 'drop' as const } }],
    ['without flags', { missing: { kind: 'null' as const } }],
    ['no friend', { friends: [] }],
  ] as readonly (readonly [string, Partial<JoinOptions>])[])('%s', async (_, options) => {
    const path = join(folder, 'untouched.parquet');
    await makeOutput(path, options);
    for (const against of [[], SOURCES]) {
      const report = await verify(path, { against: against.filter((file) => isJoined(file, options)) });
      expect([report.verdict, report.findings]).toEqual(['verified', []]);
    }
  });

  it('written again with other pages, or with rows in another order', async () => {
    const table = await readTable(good);
    await writeTable(bad, table, 'none');
    expect((await verify(bad)).verdict).toBe('rewritten');
    takeRows(table, rowsOf(table).reverse());
    await writeTable(bad, table);
    const report = await verify(bad, { against: SOURCES });
    expect(report.verdict).toBe('rewritten');
    expect(codes(report.findings)).toEqual(['verify/rewritten', 'verify/order-lost']);
  });
});

function isJoined(file: string, { friends }: Partial<JoinOptions>): boolean {
  return PRIMARY.includes(file) || friends === undefined || friends.some(({ files }) => files.includes(file));
}
