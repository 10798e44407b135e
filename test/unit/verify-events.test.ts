// Which events one file of a directory must hold, by its receipt's `part`; and what overlapping primary datasets take away.
import { describe, expect, it } from 'vitest';
import type { KeyTable } from '../../src/core/key-spec.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import { readKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { checkEvents, type MatchedSource } from '../../src/verify/events.ts';
import { mergeRows, type SortedKeys, sortKeys } from '../../src/verify/sort-merge.ts';
import { datasetOf, type Row } from '../property/events.ts';

const row = (event: number): Row => ({ run: 1, lumi: 1, event: BigInt(event), value: 0, items: [] });

function tableOf(spec: KeyTable['spec'], events: readonly number[]): SortedKeys {
  const words = new Uint32Array(events.flatMap((event) => [1, 1, event, 0]));
  return sortKeys({ spec, rows: events.length, stride: 4, words });
}

interface Case {
  readonly primary: readonly number[];
  readonly cuts?: readonly number[];
  readonly friend: readonly number[];
  readonly output: readonly number[];
  readonly receipt: Partial<Receipt>;
}

async function findings({ primary, cuts = [], friend, output, receipt }: Case) {
  const datasets = [datasetOf('primary', primary.map(row), cuts), datasetOf('fr', friend.map(row), [])];
  const spec = keySpecFor('cms', datasets[0]!.descriptor.schema, []);
  const keys = tableOf(spec, output);
  const sources: MatchedSource[] = [];
  for (const [index, dataset] of datasets.entries()) {
    const own = sortKeys(await readKeys(dataset, spec));
    sources.push({
      index,
      label: dataset.descriptor.label,
      dataset,
      columns: new Map(),
      keys: own,
      rowOf: mergeRows(keys, own),
    });
  }
  const whole = {
    spec: { how: 'outer' },
    policies: { missing: 'reason', duplicates: 'error' },
    sources: [{}, {}],
    output: { rows: output.length },
    ...receipt,
  } as unknown as Receipt;
  return checkEvents({ path: 'out', keys }, sources, whole).findings.map(({ code, count }) => `${code} ${count}`);
}

describe('one file of a directory', () => {
  const sources = { primary: [1, 2, 3, 4, 5, 6], friend: [2, 4, 6, 8, 9] };
  const first = { part: { source: 0, start: 0, end: 4 } };
  const only = { part: { source: 1, start: 0, end: 5 } };

  it('holds its own rows and no others', async () => {
    expect(await findings({ ...sources, output: [1, 2, 3, 4], receipt: first })).toEqual([]);
    expect(await findings({ ...sources, output: [8, 9], receipt: only })).toEqual([]);
    const rest = { part: { source: 0, start: 4, end: 6 } };
    expect(await findings({ ...sources, output: [5, 6], receipt: rest })).toEqual([]);
  });

  it('without one of them has lost it, also when it has lost all', async () => {
    expect(await findings({ ...sources, output: [1, 2, 4], receipt: first })).toEqual(['verify/rows-lost 1']);
    expect(await findings({ ...sources, output: [], receipt: first })).toEqual(['verify/rows-lost 4']);
    expect(await findings({ ...sources, output: [9], receipt: only })).toEqual(['verify/rows-lost 1']);
  });

  it('of a right join answers for the rows that the primary has, in its order', async () => {
    const receipt = { ...first, spec: { how: 'right' } };
    expect(await findings({ ...sources, output: [2, 4], receipt })).toEqual([]);
    expect(await findings({ ...sources, output: [4], receipt })).toEqual(['verify/rows-lost 1']);
  });
});

describe('overlapping primary datasets', () => {
  const spec = {
    how: 'left',
    primaryDatasets: [
      { label: 'A', files: 1 },
      { label: 'B', files: 2 },
    ],
  };
  const policies = { missing: 'reason', duplicates: 'first-by-source' };
  const told = (rows: number) => ({ spec, policies, sources: [{ overlaps: [{ kept: 'A', dropped: 'B', rows }] }, {}] });
  const sources = { primary: [1, 2, 3, 2, 4, 3], cuts: [3, 5], friend: [] };

  it('lose nothing when each event is there once', async () => {
    const receipt = told(2) as unknown as Partial<Receipt>;
    expect(await findings({ ...sources, output: [1, 2, 3, 4], receipt })).toEqual([]);
    expect(await findings({ ...sources, output: [1, 2, 4], receipt })).toEqual(['verify/rows-lost 1']);
  });

  it('share as many events as the receipt says', async () => {
    const receipt = told(1) as unknown as Partial<Receipt>;
    expect(await findings({ ...sources, output: [1, 2, 3, 4], receipt })).toEqual(['verify/duplicate-key 1']);
  });

  it('hold no event twice themselves', async () => {
    const receipt = told(1) as unknown as Partial<Receipt>;
    const twice = { ...sources, primary: [1, 2, 3, 2, 4, 4] };
    expect(await findings({ ...twice, output: [1, 2, 3, 4], receipt })).toEqual(['verify/duplicate-key 1']);
  });
});
