// Which words of a command line belong to which source.
import { expect, test } from 'vitest';
import { splitWith } from '../../src/cli/split-with.ts';

const VALUES = new Set(['-o', '--output', '--how', '-c', '-j']);
const split = (line: string) => splitWith(line.split(' '), (flag) => VALUES.has(flag));
const code = (line: string) => {
  try {
    return split(line);
  } catch (error) {
    return (error as { message: string }).message;
  }
};

test('every word up to the next option belongs to that source', () => {
  expect(split('a.root b.root --with c.root d.root --how inner -o x')).toEqual({
    words: ['a.root', 'b.root', '--how', 'inner', '-o', 'x'],
    friends: [{ files: ['c.root', 'd.root'] }],
  });
});

test('a first word that ends in a colon is the label', () => {
  expect(split('a --with up: u1 u2 --with down: d1 --with e -o x').friends).toEqual([
    { label: 'up', files: ['u1', 'u2'] },
    { label: 'down', files: ['d1'] },
    { files: ['e'] },
  ]);
});

test('--with=FILE and --with=LABEL: take the words behind them too', () => {
  expect(split('a --with=b c -o x').friends).toEqual([{ files: ['b', 'c'] }]);
  expect(split('a --with=up: c -o x').friends).toEqual([{ label: 'up', files: ['c'] }]);
});

test('a path, a tree and an URL are no labels', () => {
  for (const word of ['b.root:Events', 'root://host//b.root', 'https://host/b.root', './up:b.root', ':']) {
    expect(split(`a --with ${word} -o x`).friends).toEqual([{ files: [word] }]);
  }
});

test('a single dash is a file word: a list on standard input', () => {
  expect(split('- --with - -o -')).toEqual({ words: ['-', '-o', '-'], friends: [{ files: ['-'] }] });
});

test('values of options behind --with stay where they are, also behind clustered letters', () => {
  expect(split('a --with b -nfo out --how=left').words).toEqual(['a', '-nfo', 'out', '--how=left']);
  expect(split('a --with b -ofile -c x,y').words).toEqual(['a', '-ofile', '-c', 'x,y']);
});

test('words behind -- are the primary', () => {
  expect(split('--with b -o x -- -a')).toEqual({ words: ['-o', 'x', '--', '-a'], friends: [{ files: ['b'] }] });
});

test.each([
  ['a --with', '--with names no files'],
  ['a --with -o x', '--with names no files'],
  ['a --with= -o x', '--with names no files'],
  ['a --with up: --with b', '--with up: names no files'],
  ['a --with up:b/c.root', '"up:b/c.root" joins label and file'],
  ['a --with a-b: c', 'the label "a-b" cannot be part of a column name'],
  ['--with b -f a', '"a" stands apart from its --with'],
  ['a --with b -ofile c', '"c" stands apart from its --with'],
  ['a --with b --how=left c', '"c" stands apart from its --with'],
])('%s is refused', (line, message) => {
  expect(code(line)).toBe(message);
});
