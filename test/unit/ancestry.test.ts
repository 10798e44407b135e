// Where events come from: what two processing histories prove of each other, what joins make of it, and what verify finds.
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Ancestry, type History, relateHistories, weightsApart } from '../../src/core/ancestry.ts';
import { type Receipt, receiptText } from '../../src/core/receipt.ts';
import {
  FRIENDS,
  makeOutput,
  PRIMARY,
  readTable,
  rowsOf,
  scratch,
  takeRows,
  verify,
  writeTable,
} from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

/** `GEN:a HLT:b`: steps with a configuration each. */
const history = (text: string): History =>
  text.split(' ').map((step) => {
    const [process = '', config = ''] = step.split(':');
    return { process, config, release: 'CMSSW_10_6_4' };
  });

describe('histories', () => {
  const NANO = history('GEN:a SIM:b RECO:c PAT:d NANO:e');
  it.each([
    ['same', NANO, 'same', 'NANO'],
    ['MiniAOD', history('GEN:a SIM:b RECO:c PAT:d'), 'ancestor', 'PAT'],
    ['made from it', history('GEN:a SIM:b RECO:c PAT:d NANO:e SKIM:f'), 'descendant', 'NANO'],
    ['another version of PAT and NANO', history('GEN:a SIM:b RECO:c PAT:x NANO:y'), 'siblings', 'RECO'],
    ['another sample', history('GEN:z SIM:b RECO:c PAT:d NANO:e'), 'different', undefined],
  ])('%s', (_, theirs, kind, last) => {
    const relation = relateHistories([NANO], [theirs]);
    expect(relation).toMatchObject({ kind, ...(last && { last: { process: last } }) });
  });

  it('of several the nearest counts, and none says nothing', () => {
    expect(relateHistories([history('GEN:z'), NANO], [history('GEN:y'), NANO])).toMatchObject({ kind: 'same' });
    expect(relateHistories([NANO], [])).toBeUndefined();
  });
});

it('sums of weights: sizes of another order are told, a few per cent are not', () => {
  const weights = (count: number, weight: number) => ({
    files: 1,
    count,
    sumw: count * weight,
    sumw2: count * weight * weight,
  });
  expect(weightsApart(weights(1000, 72.25), weights(50, 150))).toBe(false);
  expect(weightsApart(weights(1000, 72.25), weights(1000, 1))).toBe(true);
  expect(weightsApart(weights(0, 0), weights(1000, 1))).toBe(false);
});

/** A file that says, as outputs of joins do, where its events come from. */
async function stating(name: string, ancestry: Ancestry | undefined): Promise<string> {
  await makeOutput(at(name), { friends: [] });
  const table = await readTable(at(name));
  const receipt = JSON.parse(table.receipt!) as Receipt;
  const [primary] = receipt.sources;
  const { ancestry: _, ...rest } = primary!;
  const sources = [{ ...rest, ...(ancestry === undefined ? {} : { ancestry }) }];
  await writeTable(at(name), { ...table, receipt: receiptText({ ...receipt, sources }) });
  return at(name);
}

describe('a join', () => {
  const made = (text: string): Ancestry => ({ files: 1, histories: [history(text)] });
  const joined = async (mine: Ancestry | undefined, theirs: Ancestry | undefined, options = {}) => {
    const [primary, friend] = [await stating('a.parquet', mine), await stating('b.parquet', theirs)];
    const friends = [{ label: 'x', files: [friend] }];
    return makeOutput(at('out.parquet'), { primary: [primary], friends, columns: ['MET_pt*'], ...options });
  };
  const notes = async (...sides: Parameters<typeof joined>) =>
    (await joined(...sides)).plan.notes.filter((note) => note.startsWith('ancestry'));

  it('says what two tiers have in common', async () => {
    expect(await notes(made('GEN:a PAT:b NANO:c'), made('GEN:a PAT:b'))).toEqual([
      'ancestry x: an ancestor of the primary, to PAT',
    ]);
    expect(await notes(made('GEN:a PAT:b NANO:c'), made('GEN:a PAT:b NANO:d'))).toEqual([
      'ancestry x: processed apart from the primary after PAT: what later steps made may differ honestly',
    ]);
    expect(await notes(made('GEN:a PAT:b'), undefined)).toEqual([]);
  });

  it('stops where no event of one can be of the other, unless somebody says the sample', async () => {
    const failed = joined(made('GEN:aaaaaaaaaa PAT:b'), made('GEN:bbbbbbbbbb PAT:b'));
    await expect(failed).rejects.toMatchObject({
      code: 'join/sample-differs',
      exit: 1,
      message:
        'the events of source "x" were made by GEN of configuration bbbbbbbb, those of source "primary" by GEN of configuration aaaaaaaa',
    });
    expect(await notes(made('GEN:a PAT:b'), made('GEN:c PAT:b'), { sample: 'ttbar' })).toEqual([
      'ancestry x: begins with GEN of configuration c, the primary with GEN of configuration a: are they of one sample?',
    ]);
  });

  it('tells sums of weights of another order', async () => {
    const weighing = (weight: number): Ancestry => ({
      files: 1,
      histories: [],
      weights: { files: 1, count: 10, sumw: 10 * weight, sumw2: 10 * weight * weight },
    });
    expect(await notes(weighing(72.25), weighing(1))).toEqual([
      "ancestry x: generator weights of 1.00 an event, the primary's of 72.3: are they of one sample?",
    ]);
  });

  it('tells files of one source that look like two samples', async () => {
    const of = (text: string, weight: number): Ancestry => ({
      ...made(text),
      weights: { files: 1, count: 10, sumw: 10 * weight, sumw2: 10 * weight * weight },
    });
    const primary = [await stating('a.parquet', of('GEN:a', 1)), await stating('b.parquet', of('GEN:b', -50))];
    const rows = rowsOf(await readTable(primary[0]!));
    for (const [i, path] of primary.entries()) {
      const table = await readTable(path);
      takeRows(table, i === 0 ? rows.slice(0, 150) : rows.slice(150));
      await writeTable(path, table);
    }
    const { plan } = await makeOutput(at('out.parquet'), { primary, friends: [], columns: ['MET_pt*'] });
    expect(plan.notes).toEqual([
      'ancestry primary: its files begin with GEN of configuration a and with GEN of configuration b: are they of one sample?',
      `ancestry primary: generator weights of 1.00 an event in ${primary[0]}, of 50.0 in ${primary[1]}: are they of one sample?`,
    ]);
  });

  it('knows a friend that was joined from the primary, and one that was joined before it was produced again', async () => {
    const friend = await stating('scores.parquet', undefined);
    const friends = [{ label: 'x', files: [friend] }];
    const columns = ['MET_pt*'];
    const { plan } = await makeOutput(at('out.parquet'), { friends, columns });
    expect(plan.notes.at(-1)).toBe('ancestry x: joined from 3 of the 3 files of the primary');
    const { findings } = await verify(at('out.parquet'), { against: [...PRIMARY, friend] });
    expect(findings).toEqual([]);
    const again = at('nano_1.root');
    copyFileSync(FRIENDS.up, again); // other bytes under the name
    const other = await makeOutput(at('out.parquet'), { primary: [again], friends, columns });
    expect(other.plan.notes.at(-1)).toBe(
      `ancestry x: joined from another ${again} than this one: was it produced again since?`,
    );
  });
});

const real = new URL('../../../shared/data/pfnano.root', import.meta.url).pathname;
describe.skipIf(!existsSync(real))('a real file with its history (skipped without shared data)', () => {
  it('is kept in the receipt, and found again in what was joined from it', async () => {
    const copy = at('copy.root');
    copyFileSync(real, copy);
    const friends = [{ label: 'x', files: [copy] }];
    const { plan } = await makeOutput(at('real.parquet'), {
      primary: [real],
      friends,
      columns: ['Jet_pt*', 'PSWeight*'],
    });
    expect(plan.notes).toContain("ancestry x: the primary's own processing history, to NANO");
    const receipt = JSON.parse((await readTable(at('real.parquet'))).receipt!) as Receipt;
    const [steps] = receipt.sources[0]!.ancestry!.histories;
    expect(steps!.map(({ process }) => process).join()).toBe('GEN,SIM,DIGI2RAW,HLT,RECO,PAT,NANO');
    expect(steps![0]).toEqual({ process: 'GEN', release: 'CMSSW_10_6_4', config: '5b1bd2b4ae1a798e048ea486616cc280' });
    expect((await verify(at('real.parquet'), { against: [real, copy] })).findings).toEqual([]);
    const [, friend] = receipt.sources;
    const changed = { ...friend!, ancestry: { ...friend!.ancestry!, histories: [steps!.slice(0, 3)] } };
    const table = await readTable(at('real.parquet'));
    await writeTable(at('edited.parquet'), {
      ...table,
      receipt: receiptText({ ...receipt, sources: [receipt.sources[0]!, changed] }),
    });
    const { findings } = await verify(at('edited.parquet'), { against: [real, copy] });
    expect(findings.map(({ code }) => code)).toContain('verify/ancestry-differs');
  });
});
