// Owns the named cases: which data each wants and with which options colweave runs on them.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';

export interface DataWanted {
  readonly primary: 'primary-zstd' | 'primary-lzma';
  readonly friend: 'friend-aligned' | 'friend-regrouped';
}

export interface BenchCase {
  readonly name: string;
  readonly does: string;
  readonly data: DataWanted;
  readonly words: readonly string[];
  /** All columns: a measure for the floor and the file's size. */
  readonly whole: boolean;
  /** Does it write an output? */
  readonly writes: boolean;
}

const REGROUPED: DataWanted = { primary: 'primary-zstd', friend: 'friend-regrouped' };
const ALIGNED: DataWanted = { primary: 'primary-zstd', friend: 'friend-aligned' };
const LZMA: DataWanted = { primary: 'primary-lzma', friend: 'friend-regrouped' };

/** Of the data that `--make` makes; chk is among them, so that the output can be checked. */
const FEW_COLUMNS = 'Jet_pt,MET_pt,chk,Jet_corr_pt';

const joined = (name: string, does: string, data: DataWanted, words: readonly string[]): BenchCase => {
  return { name, does, data, words, whole: true, writes: true };
};

export const BENCH_CASES: readonly BenchCase[] = [
  joined('regrouped', 'friend in another order, two threads', REGROUPED, ['-j', '2']),
  joined('regrouped-j1', 'the same, one thread', REGROUPED, ['-j', '1']),
  joined('regrouped-slot', 'the same, one thread and 300M', REGROUPED, ['-j', '1', '--memory', '300M']),
  joined('aligned', 'friend in the same order, two threads', ALIGNED, ['-j', '2']),
  joined('lzma', 'primary in LZMA-9, two threads', LZMA, ['-j', '2']),
  joined('large', 'more than memory holds, one thread', REGROUPED, ['-j', '1', '--memory', '1.2G']),
  {
    ...joined('columns', '4 of 66 columns, two threads', REGROUPED, ['-j', '2', '-c', FEW_COLUMNS]),
    whole: false,
  },
  {
    ...joined('keys', 'keys read, indexed, matched; no payload', REGROUPED, ['-j', '2', '--dry-run']),
    whole: false,
    writes: false,
  },
];

export const CASE_NAMES: readonly string[] = BENCH_CASES.map(({ name }) => name);

/** Words behind `--` are a case of their own; without cases and words it is `regrouped`. Errors: usage/bad-option. */
export function chooseCases(names: readonly string[], joinWords: readonly string[]): readonly BenchCase[] {
  const chosen = names.map((name) => {
    const found = BENCH_CASES.find((each) => each.name === name);
    if (found) return found;
    throw new ColweaveError('usage/bad-option', `there is no case "${name}"`, {
      near: nearestNames(name, CASE_NAMES),
      hint: `the cases are ${CASE_NAMES.join(', ')}`,
    });
  });
  if (joinWords.length === 0) return chosen.length > 0 ? chosen : [BENCH_CASES[0]!];
  refuseOwnWords(joinWords);
  const whole = !joinWords.some((word) => /^(-c|--columns)/.test(word));
  const writes = !joinWords.some((word) => /^(-n|--dry-run)$/.test(word));
  return [
    ...chosen,
    { name: 'custom', does: joinWords.join(' '), data: REGROUPED, words: joinWords, whole: whole && writes, writes },
  ];
}

/** The output and the talking are the bench's own. */
function refuseOwnWords(words: readonly string[]): void {
  const taken = words.find((word) => /^(-o|--output|--json|-q|--quiet|--with)/.test(word));
  if (taken === undefined) return;
  throw new ColweaveError('usage/bad-option', `"${taken}" is set by the bench itself`, {
    hint: 'behind -- give only options such as -j 2 or --memory 300M',
  });
}
