// Owns lists of inputs: files (or, once, the standard input) of one word a line, which may name further lists.
import { readFileSync, realpathSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';

/** The list on standard input can be read once in a run: a second reader would find it empty. */
let stdinTaken = false;

export function readStdinList(): readonly string[] {
  if (stdinTaken) {
    throw new ColweaveError('source/bad-list', 'the list on standard input is asked for twice', {
      hint: 'write it to a file and give @FILE in both places',
    });
  }
  stdinTaken = true;
  return listWords(readText(0, 'standard input'), 'standard input');
}

/** `open`: the lists, by real path, whose lines are being read. Errors: source/bad-list, also for one that names itself. */
export function readList(path: string, open: readonly string[]): { readonly real: string; readonly words: string[] } {
  const text = readText(path, path);
  const real = realpathSync(path);
  if (open.includes(real)) {
    throw new ColweaveError('source/bad-list', 'the list of files names itself', {
      where: [path],
      details: [...open.slice(open.indexOf(real)), real].map((each, i) => (i === 0 ? each : `names ${each}`)),
    });
  }
  return { real, words: listWords(text, path) };
}

function readText(file: string | number, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ColweaveError('source/bad-list', 'the list of files cannot be read', { where: [name], cause });
  }
}

/** A word a line; `#` starts a comment at the beginning or behind a blank. A list without words is an accident. */
function listWords(text: string, name: string): string[] {
  const words = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n|\r/)
    .map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
  if (words.length > 0) return words;
  throw new ColweaveError('source/bad-list', 'the list names no file', { where: [name] });
}
