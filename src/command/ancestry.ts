// Owns what a join makes of where its sources come from: proof of different samples stops it, everything else is said.
import {
  type Ancestry,
  type GeneratedWeights,
  type History,
  historyText,
  relateHistories,
  weightsApart,
} from '../core/ancestry.ts';
import { ColweaveError } from '../core/errors.ts';
import { fileName } from '../core/text.ts';
import { type Origins, readOrigins } from '../source/ancestry.ts';
import type { Dataset } from '../source/dataset.ts';

export interface Ancestries {
  /** One a source, the primary first. */
  readonly sources: readonly (Ancestry | undefined)[];
  /** One line a friend that tells something. */
  readonly notes: readonly string[];
}

/** Errors: join/sample-differs where no event of a friend can be one of the primary, unless a sample is named. */
export async function settleAncestry(
  datasets: readonly Dataset[],
  sample: string | undefined,
  signal: AbortSignal,
): Promise<Ancestries> {
  const sources: (Ancestry | undefined)[] = [];
  const own: string[] = [];
  for (const dataset of datasets) {
    const origins = await readOrigins(dataset, signal);
    sources.push(origins.ancestry);
    own.push(...withinNotes(dataset, origins));
  }
  const [mine, ...theirs] = sources;
  const between = theirs.flatMap((ancestry, i) => {
    const sides = { primary: datasets[0]!, friend: datasets[i + 1]! };
    return [
      ...parentNotes(sides, ancestry),
      ...(mine === undefined || ancestry === undefined ? [] : historyNotes(sides, mine, ancestry, sample)),
      ...weightNotes(sides, mine?.weights, ancestry?.weights),
    ];
  });
  return { sources, notes: [...own, ...between] };
}

/** Files of one source that look like those of several samples. Extensions of a sample may begin with another first step. */
function withinNotes({ descriptor: { label } }: Dataset, { ancestry, weights }: Origins): readonly string[] {
  const notes: string[] = [];
  const firsts = new Map((ancestry?.histories ?? []).map((history) => [history[0]?.config, history]));
  if (firsts.size > 1) {
    const texts = [...firsts.values()].map(stepText);
    notes.push(`ancestry ${label}: its files begin with ${texts.join(' and with ')}: are they of one sample?`);
  }
  const [first, ...rest] = weights;
  const other = rest.find((file) => weightsApart(first!.weights, file.weights));
  if (first !== undefined && other !== undefined)
    notes.push(
      `ancestry ${label}: generator weights of ${meanOf(first.weights)} an event in ${first.uri}, of ${meanOf(other.weights)} in ${other.uri}: are they of one sample?`,
    );
  return notes;
}

const meanOf = ({ sumw2, count }: GeneratedWeights): string => Math.sqrt(sumw2 / count).toPrecision(3);

interface Sides {
  readonly primary: Dataset;
  readonly friend: Dataset;
}

const isWhole = ({ files }: Dataset, ancestry: Ancestry): boolean => ancestry.files === files.length;

function historyNotes(
  { primary, friend }: Sides,
  mine: Ancestry,
  theirs: Ancestry,
  sample: string | undefined,
): readonly string[] {
  const relation = relateHistories(mine.histories, theirs.histories);
  if (relation === undefined) return [];
  const { label } = friend.descriptor;
  switch (relation.kind) {
    case 'same':
      return [`ancestry ${label}: the primary's own processing history, to ${relation.last.process}`];
    case 'ancestor':
      return [`ancestry ${label}: an ancestor of the primary, to ${relation.last.process}`];
    case 'descendant':
      return [`ancestry ${label}: made from what the primary holds, ${relation.last.process}`];
    case 'siblings':
      return [
        `ancestry ${label}: processed apart from the primary after ${relation.last.process}: what later steps made may differ honestly`,
      ];
    case 'different': {
      const [first, second] = [mine.histories[0]!, theirs.histories[0]!];
      if (sample === undefined && isWhole(primary, mine) && isWhole(friend, theirs))
        throw otherOrigin(primary, friend, first, second);
      return [
        `ancestry ${label}: begins with ${stepText(second)}, the primary with ${stepText(first)}: are they of one sample?`,
      ];
    }
  }
}

const stepText = ([first]: History): string => `${first!.process} of configuration ${first!.config.slice(0, 8)}`;

function otherOrigin(primary: Dataset, friend: Dataset, mine: History, theirs: History): ColweaveError {
  const file = ({ files }: Dataset) => files[0]!.descriptor.uri;
  const { label } = friend.descriptor;
  return new ColweaveError(
    'join/sample-differs',
    `the events of source "${label}" were made by ${stepText(theirs)}, those of source "primary" by ${stepText(mine)}`,
    {
      where: [file(friend)],
      details: [
        `primary: ${historyText(mine)} in ${file(primary)}`,
        `${label}: ${historyText(theirs)} in ${file(friend)}`,
      ],
      hint: 'an event has one origin: join one sample at a time, or say with --sample NAME that all are of one',
    },
  );
}

/** By the receipts of the friend's files: were they joined from these files of the primary, or from others of the name? */
function parentNotes({ primary, friend }: Sides, ancestry: Ancestry | undefined): readonly string[] {
  const parents = ancestry?.parents ?? [];
  if (parents.length === 0) return [];
  const { files } = primary.descriptor;
  const ids = new Set(parents.map(({ id }) => id));
  const known = files.filter(({ descriptor }) => ids.has(descriptor.identity.id));
  const { label } = friend.descriptor;
  const other = files.find(({ descriptor }) => {
    const { uri, identity } = descriptor;
    return !ids.has(identity.id) && parents.some(({ name }) => name === fileName(uri));
  });
  if (other !== undefined)
    return [
      `ancestry ${label}: joined from another ${other.descriptor.uri} than this one: was it produced again since?`,
    ];
  if (known.length === 0) return [];
  return [`ancestry ${label}: joined from ${known.length} of the ${files.length} files of the primary`];
}

function weightNotes(
  { friend }: Sides,
  mine: GeneratedWeights | undefined,
  theirs: GeneratedWeights | undefined,
): readonly string[] {
  if (mine === undefined || theirs === undefined || !weightsApart(mine, theirs)) return [];
  return [
    `ancestry ${friend.descriptor.label}: generator weights of ${meanOf(theirs)} an event, the primary's of ${meanOf(mine)}: are they of one sample?`,
  ];
}
