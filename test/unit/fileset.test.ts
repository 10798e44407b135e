// Filesets in every form that coffea takes, and what is refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readFileset } from '../../src/source/fileset.ts';

let path = '';
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-fileset-'));
  path = join(folder, 'in.json');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(value: unknown) {
  writeFileSync(path, JSON.stringify(value));
  return readFileset(path);
}

const one = [{ path: 'a.root', tree: 'Events' }];

it.each<[string, unknown, unknown]>([
  ['path and tree', { files: { 'a.root': 'Events' } }, one],
  ['treename and paths', { treename: 'Events', files: ['a.root'] }, one],
  ['path and tree without files', { 'a.root': 'Events' }, one],
  ['paths alone', ['a.root'], [{ path: 'a.root' }]],
  ['a tree of null', { files: { 'a.root': null } }, [{ path: 'a.root' }]],
  ['object_path', { files: { 'a.root': { object_path: 'Events' } } }, one],
  [
    'what preprocess writes',
    {
      files: {
        'a.root': {
          object_path: 'Events',
          steps: [
            [0, 4],
            [4, 9],
          ],
          num_entries: 9,
          uuid: 'x',
        },
      },
      form: 'x',
    },
    [{ ...one[0], entries: 9 }],
  ],
  [
    'steps out of order',
    {
      files: {
        'a.root': {
          steps: [
            [4, 9],
            [0, 4],
          ],
        },
      },
    },
    [{ path: 'a.root', entries: 9 }],
  ],
  ['num_entries alone', { files: { 'a.root': { steps: null, num_entries: 3 } } }, [{ path: 'a.root', entries: 3 }]],
])('%s', (_, dataset, files) => {
  expect(read({ A: dataset })).toEqual([{ name: 'A', files, metadata: {} }]);
});

it('keeps the order of datasets and files, and metadata as it stands', () => {
  const sets = read({ b: { files: ['2', '10', '1'], metadata: { xsec: 1e-3, deep: [1, { x: null }] } }, a: ['x'] });
  expect(sets.map(({ name }) => name)).toEqual(['b', 'a']);
  expect(sets[0]!.files.map((file) => file.path)).toEqual(['2', '10', '1']);
  expect(sets[0]!.metadata).toEqual({ xsec: 1e-3, deep: [1, { x: null }] });
});

it('gzipped as well', () => {
  writeFileSync(path, gzipSync(JSON.stringify({ A: ['a.root'] })));
  expect(readFileset(path)[0]!.files).toEqual([{ path: 'a.root' }]);
});

it.each<[string, unknown, RegExp]>([
  ['a list', [], /one member a dataset/],
  ['nothing', {}, /no dataset/],
  ['no files', { A: { files: {} } }, /no file/],
  ['an empty list', { A: [] }, /no file/],
  ['a number for a path', { A: [1] }, /something else/],
  ['a text for files', { A: { files: 'a.root' } }, /neither a list/],
  ['a number for a tree', { A: { files: { 'a.root': 7 } } }, /is no text/],
  ['a number for treename', { A: { treename: 7, files: ['a'] } }, /"treename"/],
  ['a list for metadata', { A: { files: ['a'], metadata: [] } }, /"metadata"/],
  [
    'a gap in steps',
    {
      A: {
        files: {
          a: {
            steps: [
              [0, 3],
              [4, 9],
            ],
          },
        },
      },
    },
    /leave out events/,
  ],
  ['steps that begin late', { A: { files: { a: { steps: [[1, 3]] } } } }, /leave out events/],
  [
    'overlapping steps',
    {
      A: {
        files: {
          a: {
            steps: [
              [0, 3],
              [2, 5],
            ],
          },
        },
      },
    },
    /leave out events/,
  ],
  ['steps that end early', { A: { files: { a: { steps: [[0, 3]], num_entries: 4 } } } }, /leave out events/],
  ['steps that are none', { A: { files: { a: { steps: [[0]] } } } }, /no list of \[start, stop\]/],
  ['a negative number of events', { A: { files: { a: { num_entries: -1 } } } }, /no number of events/],
])('refuses %s', (_, value, message) => {
  expect(() => read(value)).toThrow(message);
});

it.each([
  ['{"A": ["a"], "B": ["b"], "A": ["c"]}', 'A'],
  ['{"A": {"files": {"x\\"y": "T", "x\\u0022y": "T"}}}', 'x"y'],
  ['{"A": {"files": ["a"], "metadata": {"k": [{"n": 1, "n": 2}]}}}', 'n'],
])('refuses a name that is there twice: %s', (text, name) => {
  writeFileSync(path, text);
  expect(() => readFileset(path)).toThrow(`"${name}" is there twice`);
});

it('the same name in different objects is no name twice', () => {
  expect(read({ A: { files: { a: 'A' }, metadata: { A: ':', b: '{"A":' } }, B: { files: { a: 'A' } } })).toHaveLength(
    2,
  );
});

it('refuses what is no JSON, and a file that is not there', () => {
  writeFileSync(path, '{"A": [');
  expect(() => readFileset(path)).toThrow(/no JSON/);
  expect(() => readFileset(join(folder, 'absent.json'))).toThrow(/cannot be read/);
});
