// Owns opening the sources of a join: words to files, files to datasets, and what all of them together were asked for.
import { closeDataset, type Dataset, openDataset } from '../source/dataset.ts';
import { expandInputs, type InputOptions } from '../source/inputs.ts';
import { isDirectory } from './output.ts';
import { type DatasetFiles, expandPrimary } from './primary-datasets.ts';
import { type Request, requestOf } from './request.ts';
import { agreeOnSample } from './sample.ts';
import type { CommandContext, JoinOptions } from './types.ts';

export interface Opened {
  /** The primary first, then the friends. */
  readonly datasets: readonly Dataset[];
  /** Primary datasets, where the primary's words name them. */
  readonly groups: readonly DatasetFiles[];
  readonly sample: string | undefined;
  readonly request: Request;
  /** Lists of files that were read. */
  readonly lists: readonly string[];
}

/** Reads metadata only. Errors: those of inputs and formats, join/sample-differs. */
export async function openSources(options: JoinOptions, { emit, signal, cache }: CommandContext): Promise<Opened> {
  const datasets: Dataset[] = [];
  const lists: string[] = [];
  let groups: readonly DatasetFiles[] = [];
  try {
    const sources = sourcesOf(options).map((source, s) => {
      const asked = inputOptions(options, source.base, lists);
      const given = s === 0 ? options.inputs : undefined;
      if (s > 0 || given !== undefined) return { ...source, inputs: given ?? expandInputs(source.files, asked) };
      const expanded = expandPrimary(source.files, (words) => expandInputs(words, asked));
      groups = expanded.groups;
      return { ...source, inputs: expanded.inputs };
    });
    for (const [s, source] of sources.entries()) {
      emit({ type: 'progress', stage: 'open', done: s, total: sources.length });
      datasets.push(await openDataset(source.inputs, { ...source, ...(cache === undefined ? {} : { cache }) }, signal));
    }
    const sample = agreeOnSample(options.sample, datasets);
    const perFile = options.output !== undefined && isDirectory(options.output);
    return { datasets, groups, sample, request: requestOf(options, datasets, { sample, perFile, groups }), lists };
  } catch (error) {
    await Promise.all(datasets.map(closeDataset));
    throw error;
  }
}

export async function closeSources({ datasets }: Opened): Promise<void> {
  await Promise.all(datasets.map(closeDataset));
}

/** Everything that was read for the output, in the order it was asked for: lists, then data. */
export function inputsOf({ datasets, lists }: Opened, { composeFile, infer }: JoinOptions): readonly string[] {
  const files = datasets.flatMap(({ descriptor }) => descriptor.files.map((file) => file.descriptor.uri));
  const asked = [composeFile, infer?.file].filter((path) => path !== undefined);
  return [...asked, ...lists, ...files];
}

function inputOptions({ redirector }: JoinOptions, base: string | undefined, lists: string[]): InputOptions {
  return {
    onList: (path) => lists.push(path),
    ...(redirector === undefined ? {} : { redirector }),
    ...(base === undefined ? {} : { base }),
  };
}

/** `f1`, `f2` name the friends without a label in flags and reports; their columns keep their names. */
export function friendName(options: JoinOptions, index: number): string {
  return options.friends[index]!.label ?? `f${index + 1}`;
}

function sourcesOf(options: JoinOptions) {
  const shared = {
    schema: options.schema,
    ...(options.tree === undefined ? {} : { tree: options.tree }),
    ...(options.absentTrigger === undefined ? {} : { absentTrigger: options.absentTrigger }),
  };
  return [
    { ...shared, label: 'primary', files: options.primary, base: options.base },
    ...options.friends.map((friend, i) => ({
      ...shared,
      label: friendName(options, i),
      files: friend.files,
      base: friend.base,
      ...(friend.tree === undefined ? {} : { tree: friend.tree }),
    })),
  ];
}
