// What verify says of skims and of columns stored once, when the receipt says something else than the sources.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions } from '../../src/command/types.ts';
import { runVerify } from '../../src/command/verify.ts';
import { type Receipt, receiptText } from '../../src/core/receipt.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-skim-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fixture = (name: string) => new URL(`../../fixtures/${name}`, import.meta.url).pathname;
const NANO = ['nano_1.root', 'nano_2.root', 'nano_3.root'].map(fixture);
const A = ['friend_regrouped_1.root', 'friend_regrouped_2.root'].map(fixture);
const B = [fixture('friend_reordered.root')];
const context = { emit: () => {}, signal: new AbortController().signal };
const SHARED: JoinOptions = {
  primary: NANO,
  friends: [],
  how: 'left',
  columns: [],
  layout: 'arrow',
  missing: { kind: 'reason' },
  schema: 'strict',
  dropUnreadable: false,
  writer: 'parquet',
  compression: 'zstd',
  dryRun: false,
  receipt: true,
  force: true,
};

/** Findings of the output by a receipt that somebody changed. */
async function findings(
  options: Partial<JoinOptions>,
  change: (receipt: Receipt) => Receipt,
  against: readonly string[],
) {
  const output = join(folder, 'out.parquet');
  await runJoin({ ...SHARED, ...options, output }, context);
  const beside = join(folder, 'changed.json');
  const receipt = JSON.parse(readFileSync(`${output}.receipt.json`, 'utf8')) as Receipt;
  writeFileSync(beside, `${receiptText(change(receipt))}\n`);
  const report = await runVerify({ outputs: [output], receipt: beside, against }, context);
  return report.files[0]!.findings.map(({ code }) => code);
}

describe('a skim', () => {
  const skim = { where: 'nJet >= 2 and MET_pt > 30', columns: ['MET_pt'] };

  it('is verified, and a receipt with another expression is not', async () => {
    expect(await findings(skim, (receipt) => receipt, NANO)).toEqual([]);
    const other = await findings(
      skim,
      (receipt) => ({ ...receipt, selection: { ...receipt.selection!, where: 'nJet >= 1 and MET_pt > 30' } }),
      NANO,
    );
    expect(other).toContain('verify/selection-differs');
    expect(other).toContain('verify/rows-lost');
  });

  it('whose receipt forgets the expression has lost events', async () => {
    const forgotten = await findings(skim, ({ selection: _, ...receipt }) => receipt, NANO);
    expect(forgotten).toContain('verify/rows-lost');
  });

  it('has a cut flow that does not grow and begins with the primary', async () => {
    const terms = [
      { term: 'nJet >= 2', rows: 10 },
      { term: 'MET_pt > 30', rows: 20 },
    ];
    const grown = await findings(skim, (receipt) => ({ ...receipt, selection: { ...receipt.selection!, terms } }), []);
    expect(grown).toContain('verify/receipt-edited');
  });
});

describe('columns stored once', () => {
  const dedup = {
    friends: [
      { label: 'a', files: A },
      { label: 'b', files: B },
    ],
    columns: ['score_*', 'shift_*'],
    dedup: true,
  };

  it('are compared with every source that they stand for', async () => {
    expect(await findings(dedup, (receipt) => receipt, [...NANO, ...A, ...B])).toEqual([]);
    const swapped = await findings(
      dedup,
      (receipt) => ({
        ...receipt,
        sources: receipt.sources.map((source) =>
          source.equal === undefined
            ? source
            : {
                ...source,
                equal: source.equal.map((each) => ({ ...each, column: each.column.replace('score', 'shift') })),
              },
        ),
      }),
      [...NANO, ...A, ...B],
    );
    expect(swapped).not.toEqual([]);
  });

  it('must be in the output', async () => {
    const absent = await findings(
      dedup,
      (receipt) => ({
        ...receipt,
        sources: receipt.sources.map((source) =>
          source.equal === undefined ? source : { ...source, equal: [{ name: 'x_b', from: 'x', column: 'x_a' }] },
        ),
      }),
      [],
    );
    expect(absent).toContain('verify/receipt-edited');
  });
});
