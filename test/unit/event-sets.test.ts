// Sets of events sorted in runs and merged: the same as a set of keys says, however little memory there is.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { keySpecFor } from '../../src/keys/spec.ts';
import { openSource } from '../../src/source/registry.ts';
import type { SourceFile } from '../../src/source/types.ts';
import { compareSets, eventSet, locateInSet, repeatedIn } from '../../src/verify/event-sets.ts';
import { sortSet } from '../../src/verify/key-runs.ts';
import { maskText } from '../../src/verify/lumi-json.ts';
import { scratch, tableOf, writeTable } from '../mutation/harness.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();
let made = 0;

type Key = readonly [run: number, lumi: number, event: bigint];

async function fileOf(keys: readonly Key[]): Promise<SourceFile> {
  const path = join(folder, `${made++}.parquet`);
  const table = tableOf({
    run: Uint32Array.from(keys, ([run]) => run),
    luminosityBlock: Uint32Array.from(keys, ([, lumi]) => lumi),
    event: BigUint64Array.from(keys, ([, , event]) => event),
  });
  await writeTable(path, table, 'none');
  return openSource(path, {});
}

const EVENTS = [0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n];
const key = fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(1, 2 ** 32 - 1), fc.constantFrom(...EVENTS));
const text = (each: Key): string => each.join(':');
const spec = keySpecFor('cms', { fields: [] }, []);
const TINY = { memoryBytes: 1, signal };

describe('two sets of few keys that clash often', () => {
  it('counts what sets of text count', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(key, { maxLength: 12 }), fc.array(key, { maxLength: 12 }), async (left, right) => {
        const files = [await fileOf(left), await fileOf(right)];
        const sets = { left: eventSet([files[0]!]), right: eventSet([files[1]!]) };
        const { findings: _, ...counts } = await compareSets('same-events', sets, spec, TINY);
        const [a, b] = [new Set(left.map(text)), new Set(right.map(text))];
        expect(counts).toEqual({
          both: [...a].filter((each) => b.has(each)).length,
          onlyLeft: [...a].filter((each) => !b.has(each)).length,
          onlyRight: [...b].filter((each) => !a.has(each)).length,
          repeatedLeft: left.length - a.size,
          repeatedRight: right.length - b.size,
        });
        for (const file of files) await file.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe('more rows than a run holds', () => {
  const ROWS = 70_000;
  const at = (i: number): Key => [1 + Math.floor(i / 40_000), i % 7, BigInt((i * 7919) % ROWS) << 20n];

  it('merges runs from scratch in ascending order, whole, over file boundaries; offenders are located', async () => {
    const keys = [...Array(ROWS).keys()].map(at);
    const files = [await fileOf(keys.slice(0, 30_001)), await fileOf(keys.slice(30_001))];
    const set = eventSet(files);
    const { stream, close } = await sortSet(set, spec, TINY);
    const rows = new Set<number>();
    let last: readonly number[] = [-1];
    let ordered = true;
    while (stream.next()) {
      const words = [...stream.words().slice(stream.at(), stream.at() + 4)];
      const first = words.findIndex((word, k) => word !== last[k]);
      ordered &&= first < 0 || words[first]! > (last[first] ?? -1);
      last = words;
      rows.add(stream.row());
      if (stream.row() === 30_001)
        expect(words).toEqual([1, 30_001 % 7, Number(at(30_001)[2] & 0xffffffffn), Number(at(30_001)[2] >> 32n)]);
    }
    close();
    expect([ordered, rows.size]).toEqual([true, ROWS]);
    expect(locateInSet(set, 30_001)).toEqual({ file: files[1]!.descriptor.uri, entry: 0 });

    const fewer = await fileOf(keys.toSpliced(69_999, 1).toSpliced(5, 1));
    const report = await compareSets('subset-of', { left: set, right: eventSet([fewer]) }, spec, TINY);
    expect(report).toMatchObject({ both: ROWS - 2, onlyLeft: 2, onlyRight: 0 });
    expect(report.findings[0]!.first!.map(({ file, entry }) => [file, entry])).toEqual([
      [files[0]!.descriptor.uri, 5],
      [files[1]!.descriptor.uri, 69_999 - 30_001],
    ]);
    const twice = eventSet([...files, fewer]);
    expect((await repeatedIn(twice, spec, TINY))[0]).toMatchObject({ code: 'verify/duplicate-key', count: ROWS - 2 });
    for (const file of [...files, fewer]) await file.close();
  });
});

it('lumi blocks are written as ranges, runs ascending', () => {
  const events = new Map([
    ['10:3', 1],
    ['9:7', 2],
    ['10:1', 1],
    ['10:2', 5],
    ['10:9', 1],
  ]);
  expect(JSON.parse(maskText(events))).toEqual({
    9: [[7, 7]],
    10: [
      [1, 3],
      [9, 9],
    ],
  });
});
