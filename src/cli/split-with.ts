// Splits the words of `join` at --with before the parser sees them, so that a friend's file can never become a primary one.
import type { SourceWords } from '../command/types.ts';
import { ColweaveError } from '../core/errors.ts';

export interface SplitWords {
  /** What is left for the parser: the primary's files and all other options. */
  readonly words: readonly string[];
  readonly friends: readonly SourceWords[];
}

const misuse = (message: string, hint: string): never => {
  throw new ColweaveError('usage/bad-option', message, { hint });
};

const isOption = (word: string): boolean => word.length > 1 && word.startsWith('-');

/**
 * Every word after --with, up to the next option, belongs to that source. After the first --with a bare word must be an
 * option's value or stand behind `--`: otherwise nobody could tell whose file it is.
 */
export function splitWith(argv: readonly string[], takesValue: (flag: string) => boolean): SplitWords {
  const words: string[] = [];
  const friends: SourceWords[] = [];
  let at = 0;
  while (at < argv.length) {
    const word = argv[at++]!;
    if (word === '--') {
      words.push(word, ...argv.slice(at));
      break;
    }
    if (word === '--with' || word.startsWith('--with=')) {
      const group = word === '--with' ? [] : [word.slice('--with='.length)];
      while (at < argv.length && !isOption(argv[at]!)) group.push(argv[at++]!);
      friends.push(sourceWords(group));
    } else if (isOption(word)) {
      words.push(word);
      if (wantsNextWord(word, takesValue) && at < argv.length) words.push(argv[at++]!);
    } else {
      if (friends.length > 0) {
        misuse(
          `"${word}" stands apart from its --with`,
          "put the primary's files before the first --with, and a friend's files right behind their --with",
        );
      }
      words.push(word);
    }
  }
  return { words, friends };
}

/** Does the value of this option word stand in the next word? `-o`, `--how`, and the last letter of `-nfo`. */
function wantsNextWord(word: string, takesValue: (flag: string) => boolean): boolean {
  if (word.startsWith('--')) return !word.includes('=') && takesValue(word);
  const letters = word.slice(1);
  const first = [...letters].findIndex((letter) => takesValue(`-${letter}`));
  return first !== -1 && first === letters.length - 1;
}

/** A label becomes part of column names. */
export function isLabel(label: string): boolean {
  return /^\w+$/.test(label);
}

function sourceWords(group: readonly string[]): SourceWords {
  const [first, ...rest] = group;
  if (first === undefined || first === '') misuse('--with names no files', '--with [LABEL:] FILES...');
  const labelled = first!.length > 1 && first!.endsWith(':');
  if (!labelled) {
    refuseGluedLabel(first!);
    return { files: group };
  }
  const label = first!.slice(0, -1);
  if (!isLabel(label)) {
    misuse(`the label "${label}" cannot be part of a column name`, 'use letters, digits and _');
  }
  if (rest.length === 0) misuse(`--with ${first} names no files`, '--with [LABEL:] FILES...');
  return { label, files: rest };
}

/** `--with jes:up/*.root`: the shell would not have expanded it, and `jes` is no file of which `up/*.root` is a tree. */
function refuseGluedLabel(word: string): void {
  const [, label, file] = /^(\w+):(?!\/\/)(.+\.(?:root|parquet|arrows?))$/.exec(word) ?? [];
  if (label !== undefined)
    misuse(`"${word}" joins label and file`, `the label is its own word: --with ${label}: ${file}`);
}
