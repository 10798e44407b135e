// Owns which files of the primary are which primary dataset: `LABEL:` is a word of its own in front of its files.
import { ColweaveError } from '../core/errors.ts';
import { type Input, refuseRepeated } from '../source/inputs.ts';

export interface PrimaryDataset {
  readonly label: string;
  readonly words: readonly string[];
}

/** The files of one primary dataset are `files` of the primary, after those of the datasets before. */
export interface DatasetFiles {
  readonly label: string;
  readonly files: number;
}

/** None where no label is given; else every word belongs to one. Errors: usage/bad-option. */
export function primaryDatasets(words: readonly string[]): readonly PrimaryDataset[] {
  const groups: { label: string; words: string[] }[] = [];
  for (const word of words) {
    if (word.length > 1 && word.endsWith(':')) groups.push({ label: labelOf(word, groups), words: [] });
    else groups.at(-1)?.words.push(word);
  }
  if (groups.length === 0) return [];
  const [first] = words;
  if (first !== `${groups[0]!.label}:`) {
    throw misuse(`"${first}" stands before the first primary dataset, ${groups[0]!.label}:`);
  }
  const empty = groups.find((group) => group.words.length === 0);
  if (empty !== undefined) throw misuse(`the primary dataset ${empty.label}: names no files`);
  return groups;
}

function labelOf(word: string, before: readonly { readonly label: string }[]): string {
  const label = word.slice(0, -1);
  if (!/^[\w.+-]+$/.test(label)) throw misuse(`"${label}" cannot name a primary dataset`);
  if (before.some((group) => group.label === label)) throw misuse(`the primary dataset ${label}: is given twice`);
  return label;
}

function misuse(message: string): ColweaveError {
  return new ColweaveError('usage/bad-option', message, { hint: 'LABEL: FILES... LABEL: FILES..., then the options' });
}

/** All files of the primary, and how many of them each dataset has. Errors: those of `expand`, source/duplicate-file. */
export function expandPrimary(
  words: readonly string[],
  expand: (words: readonly string[]) => readonly Input[],
): { readonly inputs: readonly Input[]; readonly groups: readonly DatasetFiles[] } {
  const datasets = primaryDatasets(words);
  if (datasets.length === 0) return { inputs: expand(words), groups: [] };
  const expanded = datasets.map((dataset) => ({ label: dataset.label, inputs: expand(dataset.words) }));
  const inputs = expanded.flatMap((dataset) => dataset.inputs);
  refuseRepeated(inputs);
  return {
    inputs,
    groups: expanded.map((dataset) => ({ label: dataset.label, files: dataset.inputs.length })),
  };
}
