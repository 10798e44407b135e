// What the words of one source mean: globs, directories, lists, FILE:TREE, and what is refused.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import { expandInputs, globMatcher } from '../../src/source/inputs.ts';

let folder = '';
const at = (name: string) => join(folder, name);
const names = (words: readonly string[]) => expandInputs(words.map(at)).map(({ uri }) => uri.slice(folder.length + 1));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-inputs-'));
  mkdirSync(at('more/deep'), { recursive: true });
  for (const name of [
    'f_1.root',
    'f_2.root',
    'f_10.root',
    'a:b.root',
    'notes.txt',
    '.hidden.root',
    'more/x.parquet',
    'more/deep/y.root',
  ]) {
    writeFileSync(at(name), name);
  }
  symlinkSync(at('f_1.root'), at('link.root'));
  writeFileSync(at('list.txt'), `# two files\n${at('f_2.root')}\n\n@${at('inner.txt')}\n`);
  writeFileSync(at('inner.txt'), `${at('f_10.root')}:Events\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as ColweaveError).code;
  }
  return 'none';
};

describe('inputs', () => {
  it('sorts what a glob or a directory gives in natural order', () => {
    expect(names(['f_*.root'])).toEqual(['f_1.root', 'f_2.root', 'f_10.root']);
    expect(names(['f_[12].root'])).toEqual(['f_1.root', 'f_2.root']);
    expect(names(['more'])).toEqual(['more/x.parquet']);
    expect(names(['**/y.root'])).toEqual(['more/deep/y.root']);
  });

  it('keeps the order of the words', () => {
    expect(names(['f_10.root', 'f_1.root'])).toEqual(['f_10.root', 'f_1.root']);
  });

  it('takes a tree after a colon, but a file that exists as it stands is a file', () => {
    expect(expandInputs([`${at('f_1.root')}:dir/Events`])).toEqual([{ uri: at('f_1.root'), tree: 'dir/Events' }]);
    expect(expandInputs([at('a:b.root')])).toEqual([{ uri: at('a:b.root') }]);
  });

  it('reads lists, which may name lists', () => {
    expect(expandInputs([`@${at('list.txt')}`])).toEqual([
      { uri: at('f_2.root') },
      { uri: at('f_10.root'), tree: 'Events' },
    ]);
  });

  it('refuses a file given twice, under whichever name', () => {
    expect(codeOf(() => names(['f_1.root', 'f_*.root']))).toBe('source/duplicate-file');
    expect(codeOf(() => names(['f_1.root', 'link.root']))).toBe('source/duplicate-file');
  });

  it('names the nearest file when there is none', () => {
    expect(codeOf(() => names(['g_*.root']))).toBe('source/not-found');
    expect(() => names(['f_3.root'])).toThrow(ColweaveError);
    try {
      names(['f_3.root']);
    } catch (error) {
      expect((error as ColweaveError).near).toContain('f_1.root');
    }
  });

  it('matches column globs as a shell does', () => {
    expect(['Jet_pt', 'Jet_eta', 'nJet', 'FatJet_pt'].filter(globMatcher('Jet_*'))).toEqual(['Jet_pt', 'Jet_eta']);
    expect(['a.b', 'axb'].filter(globMatcher('a.b'))).toEqual(['a.b']);
    expect(['a1', 'a2', 'ab'].filter(globMatcher('a[!b]'))).toEqual(['a1', 'a2']);
  });
});
