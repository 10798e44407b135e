// Lumi blocks without events: emptied by a selection, lost by the join, processed without an event, or never processed.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runVerify } from '../../src/command/verify.ts';
import { checkAbsent, processedLumis } from '../../src/verify/lumi-blocks.ts';
import { FRIENDS, makeOutput, PRIMARY, readTable, rowsOf, scratch, takeRows, writeTable } from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const MASK = at('mask.json');
// the fixtures' lumi blocks, and two that nobody has heard of
beforeAll(() => writeFileSync(MASK, '{"316995": [[10, 13]], "317001": [[1, 3]], "317002": [[1, 2]]}'));

async function lumis(outputs: readonly string[], against: readonly string[] = []) {
  const context = { emit: () => {}, signal: new AbortController().signal };
  const written = at('processed.json');
  const { lumis } = await runVerify({ outputs, against, lumis: MASK, writeLumis: written }, context);
  return {
    empty: lumis!.empty,
    said: lumis!.findings.map(({ code, lumis: names }) => [code, names]),
    texts: lumis!.findings.map(({ text }) => text),
    written: JSON.parse(readFileSync(written, 'utf8')) as Record<string, [number, number][]>,
  };
}

describe('evidence', () => {
  it('the trees of the files themselves: not processed is another thing than empty', async () => {
    const { texts, written } = await lumis([PRIMARY[0]!]);
    expect(texts).toEqual([
      '6 lumi blocks of the mask without an event and not processed (LuminosityBlocks), run:lumi 316995:11, 317001:1, 317001:2, 317001:3, 317002:1, 317002:2',
    ]);
    expect(written).toEqual({
      316995: [
        [10, 10],
        [12, 13],
      ],
    });
    const { said, empty } = await lumis([PRIMARY[0]!], PRIMARY);
    expect(said).toEqual([
      ['verify/lumi-empty', ['316995:11', '317001:1', '317001:2', '317001:3']],
      ['verify/lumi-absent', ['317002:1', '317002:2']],
    ]);
    expect(empty).toBe(4);
  });

  it('carried along: blocks that a selection empties were processed all the same', async () => {
    await makeOutput(at('skim.parquet'), { friends: [], where: 'luminosityBlock > 11', carry: ['LuminosityBlocks'] });
    const { said, texts, written } = await lumis([at('skim.parquet')]);
    expect(said).toEqual([
      ['verify/lumi-empty', ['316995:10', '316995:11', '317001:1', '317001:2', '317001:3']],
      ['verify/lumi-absent', ['317002:1', '317002:2']],
    ]);
    expect(texts[0]).toMatch(/: the selection left none, run:lumi /);
    expect(written).toEqual({ 316995: [[10, 13]], 317001: [[1, 3]] });
  });

  it('a friend that lacks a lumi block loses it for the join: it does not count', async () => {
    const friends = [{ label: 'par', files: [FRIENDS.par] }];
    await makeOutput(at('inner.parquet'), { friends, how: 'inner', carry: ['LuminosityBlocks'] });
    const { said, texts, written } = await lumis([at('inner.parquet')]);
    expect(said).toEqual([
      ['verify/lumi-lost', ['316995:10']],
      ['verify/lumi-absent', ['317002:1', '317002:2']],
    ]);
    expect(texts[0]).toMatch(/: the primary has some, the join lost them all, /);
    expect(written).toEqual({ 316995: [[11, 13]], 317001: [[1, 3]] });
  });

  it('a tree beside that is not the one carried along proves nothing', async () => {
    await makeOutput(at('other.parquet'), { friends: [], carry: ['LuminosityBlocks'] });
    const table = await readTable(at('other.LuminosityBlocks.parquet'));
    takeRows(table, rowsOf(table).slice(1));
    await writeTable(at('other.LuminosityBlocks.parquet'), table);
    const { said, empty } = await lumis([at('other.parquet')]);
    expect(said[0]).toEqual(['verify/source-changed', undefined]);
    expect(empty).toBeUndefined();
  });

  it('a tree that lists fewer blocks than have events does not say what was not processed', () => {
    const events = new Map([['1:1', 5]]);
    const mask = new Map([['1', [[1, 2]] as const]]);
    const of = (processed: string[]) => ({
      processed: new Set(processed),
      kept: new Set<string>(),
      losing: new Set<string>(),
    });
    expect(checkAbsent(events, mask, of(['1:7'])).map(({ text }) => text)).toEqual([
      '1 lumi block of the mask without an event, run:lumi 1:2',
    ]);
    expect([...processedLumis(events, of(['1:2']))]).toEqual([
      ['1:1', 5],
      ['1:2', 0],
    ]);
  });
});
