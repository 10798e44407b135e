// Faults put into the program itself, by module mocks that only tests can have: the checks inside join stop it before anything is published.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { Column } from '../src/core/column.ts';
import type { KeyTable } from '../src/core/key-spec.ts';
import type { Matching } from '../src/join/match.ts';
import type { Scattered } from '../src/join/shuffle.ts';
import type { Dataset } from '../src/source/dataset.ts';
import { exchanged, FRIENDS, fixture, makeOutput, PRIMARY, scratch, take } from './mutation/harness.ts';

/** What the mocks do to results; absent = nothing. */
const faults: {
  match?: (matching: Matching) => Matching;
  gather?: (column: Column) => Column;
  place?: (column: Column) => Column;
  scatter?: (scattered: Scattered) => Scattered;
  keys?: (keys: KeyTable, dataset: Dataset) => KeyTable;
  found?: (rows: Int32Array) => void;
  sifted?: (rows: Int32Array) => Int32Array;
  datasets?: (datasets: readonly Dataset[]) => readonly Dataset[];
  block?: (index: number) => number;
} = {};

vi.mock('../src/join/match.ts', async (original) => {
  const real = await original<typeof import('../src/join/match.ts')>();
  const matchSources: typeof real.matchSources = async (...words) => {
    const matching = await real.matchSources(...words);
    return faults.match?.(matching) ?? matching;
  };
  return { ...real, matchSources };
});
vi.mock('../src/join/match-selected.ts', async (original) => {
  const real = await original<typeof import('../src/join/match-selected.ts')>();
  const matchSelected: typeof real.matchSelected = (...words) => {
    const matching = real.matchSelected(...words);
    return faults.match?.(matching) ?? matching;
  };
  return { ...real, matchSelected };
});
vi.mock('../src/join/gather.ts', async (original) => {
  const real = await original<typeof import('../src/join/gather.ts')>();
  const gatherColumn: typeof real.gatherColumn = (...words) => {
    const column = real.gatherColumn(...words);
    return faults.gather?.(column) ?? column;
  };
  return { ...real, gatherColumn };
});
vi.mock('../src/join/place.ts', async (original) => {
  const real = await original<typeof import('../src/join/place.ts')>();
  const placeColumn: typeof real.placeColumn = (...words) => {
    const column = real.placeColumn(...words);
    return faults.place?.(column) ?? column;
  };
  return { ...real, placeColumn };
});
vi.mock('../src/join/shuffle.ts', async (original) => {
  const real = await original<typeof import('../src/join/shuffle.ts')>();
  const scatterRows: typeof real.scatterRows = async (...words) => {
    const scattered = await real.scatterRows(...words);
    return faults.scatter?.(scattered) ?? scattered;
  };
  return { ...real, scatterRows };
});
vi.mock('../src/keys/read.ts', async (original) => {
  const real = await original<typeof import('../src/keys/read.ts')>();
  const readKeys: typeof real.readKeys = async (dataset, ...words) => {
    const keys = await real.readKeys(dataset, ...words);
    return faults.keys?.(keys, dataset) ?? keys;
  };
  return { ...real, readKeys };
});
vi.mock('../src/keys/partition-table.ts', async (original) => {
  const real = await original<typeof import('../src/keys/partition-table.ts')>();
  const findKeys: typeof real.findKeys = (table, other, out) => {
    real.findKeys(table, other, out);
    faults.found?.(out);
  };
  const findRows: typeof real.findRows = (...words) => {
    const out = real.findRows(...words);
    faults.found?.(out);
    return out;
  };
  const siftRows: typeof real.siftRows = (...words) => {
    const rows = real.siftRows(...words);
    return faults.sifted?.(rows) ?? rows;
  };
  return { ...real, findKeys, findRows, siftRows };
});
vi.mock('../src/join/work.ts', async (original) => {
  const real = await original<typeof import('../src/join/work.ts')>();
  const inlineExecutor: typeof real.inlineExecutor = (plan, datasets, ...words) => {
    const executor = real.inlineExecutor(plan, faults.datasets?.(datasets) ?? datasets, ...words);
    const block: typeof executor.block = (index, segments, lane) =>
      executor.block(faults.block?.(index) ?? index, segments, lane);
    return { ...executor, block };
  };
  return { ...real, inlineExecutor };
});

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const name of Object.keys(faults)) delete faults[name as keyof typeof faults];
});

/** Without lists, of which lengths would tell first. */
const par = { friends: [{ label: 'par', files: [FRIENDS.par] }], columns: ['chk*', 'category*'] };
const reordered = { columns: ['chk*'], friends: [{ label: 're', files: [fixture('friend_reordered.root')] }] };
const regrouped = {
  friends: [{ label: 're', files: ['friend_regrouped_1.root', 'friend_regrouped_2.root'].map(fixture) }],
  columns: ['chk*'],
};
/** Into a directory the rows for one part lie far apart: they are scattered. */
const scattered = { ...par, columns: ['chk*', 'category*'], output: `${join(folder, 'parts')}/` };

/** Few rows of both sides are used: they are scattered, and only what holds them is decoded. */
const skim = { ...reordered, columns: ['chk*', 'MET_pt'], where: 'nMuon >= 2' };
/** Cut events that the friend has are rows of its own. */
const cutOuter = { ...skim, how: 'outer' };

/** The map of the first friend, changed. */
function changeMap(change: (map: Int32Array) => void): (matching: Matching) => Matching {
  return (matching) => {
    const map = Int32Array.from(matching.maps[1]!);
    change(map);
    return { ...matching, maps: matching.maps.with(1, map) };
  };
}

/** Two rows that are there take the place of each other. */
function swap(map: Int32Array): void {
  const [i, j] = [...map.keys()].filter((row) => map[row]! >= 0);
  [map[i!], map[j!]] = [map[j!]!, map[i!]!];
}

const shiftRows = (column: Column): Column =>
  take(column, exchanged([...Array(column.length).keys()], 0, column.length - 1));

const FAULTS: readonly (readonly [name: string, put: () => void, options: object, code: string])[] = [
  ['two rows of the row map exchanged, gathered', () => (faults.match = changeMap(swap)), par, 'join/seal-mismatch'],
  [
    'two rows of the row map exchanged, scattered',
    () => (faults.match = changeMap(swap)),
    scattered,
    'join/seal-mismatch',
  ],
  [
    'every row of the map one later',
    () => (faults.match = changeMap((map) => map.set(map.map((row) => (row < 0 ? row : (row + 1) % 232))))),
    par,
    'join/seal-mismatch',
  ],
  [
    'a row used twice',
    () => (faults.match = changeMap((map) => map.set([map[1]!], 0))),
    reordered,
    'join/seal-mismatch',
  ],
  [
    'a match lost after matching',
    () => (faults.match = changeMap((map) => map.set([-1], 7))),
    reordered,
    'join/seal-mismatch',
  ],
  ['a spurious miss in the table', () => (faults.found = (rows) => rows.set([-1], 7)), reordered, 'join/seal-mismatch'],
  [
    'a spurious miss in the table, inner',
    () => (faults.found = (rows) => rows.set([-1], 7)),
    { ...reordered, how: 'inner' },
    'join/seal-mismatch',
  ],
  [
    'a spurious hit in the table',
    () => (faults.found = (rows) => rows.set([3], rows.indexOf(-1))),
    par,
    'join/duplicate-key',
  ],
  ['gather off by one', () => (faults.gather = shiftRows), regrouped, 'join/seal-mismatch'],
  ['scattered rows placed off by one', () => (faults.place = shiftRows), scattered, 'join/seal-mismatch'],
  [
    'a segment of scattered rows dropped',
    () => (faults.scatter = (all) => ({ ...all, segments: all.segments.slice(1) })),
    scattered,
    'join/seal-mismatch',
  ],
  [
    'segments of scattered rows in the place of each other',
    () =>
      (faults.scatter = (all) => ({
        ...all,
        segments: all.segments.map(({ segment }, i) => ({
          segment,
          block: all.segments[(i + 1) % all.segments.length]!.block,
        })),
      })),
    scattered,
    'join/seal-mismatch',
  ],
  [
    'a row group made twice, in place of another',
    () => (faults.block = (index) => (index === 1 ? 0 : index)),
    { friends: [], output: `${join(folder, 'parts')}/` },
    'join/seal-mismatch',
  ],
  ['a stale index of a friend', () => (faults.keys = stale('par')), par, 'source/changed'],
  ['a stale index of a friend, scattered', () => (faults.keys = stale('par')), scattered, 'source/changed'],
  ['a stale index of the primary', () => (faults.keys = stale('primary')), par, 'source/changed'],
  [
    'two rows of the row map exchanged, of a selection',
    () => (faults.match = changeMap(swap)),
    skim,
    'join/seal-mismatch',
  ],
  [
    'a match lost after matching a selection',
    () => (faults.match = changeMap((map) => map.set([-1], 7))),
    skim,
    'join/seal-mismatch',
  ],
  ['a kept event sifted away', () => (faults.sifted = (rows) => rows.subarray(1)), skim, 'join/seal-mismatch'],
  [
    'a kept event not found among those sifted',
    () => (faults.found = (rows) => rows.set(rows.map((at) => (at === 0 ? -1 : at)))),
    skim,
    'join/seal-mismatch',
  ],
  [
    'an event taken for another that is kept',
    () => (faults.found = (rows) => swap(rows)),
    { ...skim, how: 'inner' },
    'join/seal-mismatch',
  ],
  [
    'an event of the friend lost that the selection cut',
    () => (faults.match = changeMap((map) => map.set([-1], map.length - 1))),
    cutOuter,
    'join/seal-mismatch',
  ],
  [
    'a kept event of the primary lost',
    () =>
      (faults.match = (matching) => ({
        ...matching,
        maps: matching.maps.with(
          0,
          (matching.maps[0] as Int32Array).map((row, i) => (i === 3 ? -1 : row)),
        ),
      })),
    cutOuter,
    'join/seal-mismatch',
  ],
  [
    'rows of a selection placed off by one',
    () => (faults.place = shiftRows),
    { ...skim, columns: ['chk*'] },
    'join/seal-mismatch',
  ],
  ['a stale index of a friend, few rows of it used', () => (faults.keys = stale('re')), skim, 'source/changed'],
  [
    'a stale index of the primary of a selection',
    () => (faults.keys = stale('primary')),
    { ...skim, where: 'nMuon >= 2 or nJet == 6' },
    'source/changed',
  ],
  [
    'a stale index of a source of a row map',
    () => (faults.keys = stale('re')),
    { ...reordered, columns: [], mapOnly: true },
    'source/changed',
  ],
  [
    'sources exchanged',
    () => (faults.datasets = (all) => [all[0]!, all[2]!, all[1]!, ...all.slice(3)]),
    { columns: ['MET_pt*'] },
    'internal',
  ],
];

/** The keys of another version of the file: two events are in the place of each other. */
function stale(label: string): (keys: KeyTable, dataset: Dataset) => KeyTable {
  return (keys, { descriptor }) => {
    if (descriptor.label !== label || keys.rows < 100) return keys;
    const words = Uint32Array.from(keys.words);
    const { stride } = keys;
    words.copyWithin(0, 5 * stride, 6 * stride);
    words.set(keys.words.subarray(0, stride), 5 * stride);
    return { ...keys, words };
  };
}

describe('a fault in the program stops the join, and nothing is published', () => {
  it.each(FAULTS)('%s', async (_, put, options, code) => {
    const output = 'output' in options ? (options.output as string) : join(folder, 'out.parquet');
    rmSync(output, { recursive: true, force: true });
    put();
    const failed = makeOutput(output, options);
    if (code === 'internal')
      await expect(failed).rejects.toThrow('invariant broken: source up is read from its own files');
    else await expect(failed).rejects.toMatchObject({ code });
    expect(existsSync(output)).toBe(false);
  });

  it('without a fault all of these joins are done', async () => {
    for (const [, , options] of FAULTS) {
      await expect(makeOutput(join(folder, 'good.parquet'), { primary: PRIMARY, ...options })).resolves.toBeDefined();
    }
  });
});
