// What the words of one source mean: globs, directories, lists, FILE:TREE, and what is refused.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { normalRedirector } from '../../src/bytes/remote.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { expandInputs, globMatcher } from '../../src/source/inputs.ts';
import { openSource } from '../../src/source/registry.ts';

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

describe('lists', () => {
  const write = (name: string, text: string) => {
    mkdirSync(at('lists'), { recursive: true });
    writeFileSync(at(`lists/${name}`), text);
    return `@${at(`lists/${name}`)}`;
  };

  it('take comments, blank lines, blanks around words, CRLF and a byte order mark', () => {
    const list = write('notes.txt', `\uFEFF# all\r\n\r\n  ${at('f_1.root')}  # the first\r\n${at('a:b.root')}`);
    expect(expandInputs([list]).map(({ uri }) => uri)).toEqual([at('f_1.root'), at('a:b.root')]);
  });

  it('that name themselves are refused, however deep; one list may be named twice side by side', () => {
    const loop = write('a.txt', `@${at('lists/b.txt')}\n`);
    write('b.txt', `@${at('lists/../lists/a.txt')}\n`);
    expect(codeOf(() => expandInputs([loop]))).toBe('source/bad-list');
    const both = write('both.txt', `@${at('lists/one.txt')}\n@${at('lists/one.txt')}\n`);
    write('one.txt', at('f_1.root'));
    expect(codeOf(() => expandInputs([both]))).toBe('source/duplicate-file');
  });

  it('that are absent or name nothing are refused', () => {
    expect(codeOf(() => expandInputs([`@${at('lists/absent.txt')}`]))).toBe('source/bad-list');
    expect(codeOf(() => expandInputs([write('empty.txt', '# nothing\n\n')]))).toBe('source/bad-list');
  });

  it('are told, and resolve against the base that was given', () => {
    write('relative.txt', 'f_2.root\n@lists/one_relative.txt\n');
    write('one_relative.txt', 'f_1.root:Events\n');
    const seen: string[] = [];
    const inputs = expandInputs(['@lists/relative.txt'], { base: folder, onList: (path) => seen.push(path) });
    expect(inputs).toEqual([{ uri: at('f_2.root') }, { uri: at('f_1.root'), tree: 'Events' }]);
    expect(seen).toEqual([at('lists/relative.txt'), at('lists/one_relative.txt')]);
  });
});

describe('files on servers', () => {
  it('are URLs, with a tree or without, and never looked up here', () => {
    expect(expandInputs(['root://host//store/a.root:Events', 'https://host/b*.parquet'])).toEqual([
      { uri: 'root://host//store/a.root', tree: 'Events' },
      { uri: 'https://host/b*.parquet' },
    ]);
    expect(codeOf(() => expandInputs(['root://h//a.root', 'root://h//a.root']))).toBe('source/duplicate-file');
  });

  it.each([
    ['root://cms.example', 'root://cms.example//store/a.root'],
    ['root://cms.example:1094/', 'root://cms.example:1094//store/a.root'],
    ['cms.example//', 'root://cms.example//store/a.root'],
    ['root://cms.example//eos/cms/', 'root://cms.example//eos/cms/store/a.root'],
    ['davs://cms.example:8443/cms', 'davs://cms.example:8443/cms/store/a.root'],
    ['https://cms.example/', 'https://cms.example/store/a.root'],
  ])('the redirector %s gives %s', (text, url) => {
    const redirector = normalRedirector(text)!;
    expect(expandInputs(['/store/a.root'], { redirector })).toEqual([{ uri: url }]);
    expect(expandInputs([at('f_1.root')], { redirector })).toEqual([{ uri: at('f_1.root') }]);
  });

  it('a redirector is a server and nothing else', () => {
    for (const text of ['', 'root://', 's3://bucket', 'a b', 'root://host/?x=1']) {
      expect(normalRedirector(text), text).toBeUndefined();
    }
  });

  it('a /store name without a redirector says what is lacking', () => {
    try {
      expandInputs(['/store/data/a.root']);
      expect.fail('it must be refused');
    } catch (error) {
      expect((error as ColweaveError).hint).toContain('--redirector');
    }
  });

  it('several redirectors give the same name on each server', () => {
    const redirector = 'https://one/cms,root://two';
    const [input] = expandInputs(['/store/a.root:Runs'], { redirector });
    const replicas = ['root://two//store/a.root'];
    expect(input).toEqual({ uri: 'https://one/cms/store/a.root', tree: 'Runs', replicas });
  });

  it('of a kind that nothing reads say so', async () => {
    await expect(openSource('gsiftp://host//store/a.root', {})).rejects.toMatchObject({
      code: 'source/remote',
      exit: 3,
    });
  });
});
