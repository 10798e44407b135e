// Owns what files say of where their events come from, and what two such histories prove of each other.

/** One step of a processing history, as CMS files record it. */
export interface ProcessStep {
  readonly process: string;
  readonly release: string;
  /** Hexadecimal digest of the step's configuration. */
  readonly config: string;
}

export type History = readonly ProcessStep[];

/** Totals over the Runs trees of a source. */
export interface GeneratedWeights {
  readonly files: number;
  readonly count: number;
  readonly sumw: number;
  readonly sumw2: number;
}

/** What the files of one source say of themselves, beside names and events. */
export interface Ancestry {
  /** Files that were looked at; fewer than the source has = the others were not. */
  readonly files: number;
  /** The different processing histories, oldest step first. Empty = not every file looked at has one. */
  readonly histories: readonly History[];
  readonly weights?: GeneratedWeights;
  /** Files that those of the source were joined from, by their own receipts. */
  readonly parents?: readonly { readonly name: string; readonly id: string }[];
}

export type Relation =
  /** The same steps, or those of one are the beginning of the other's. */
  | { readonly kind: 'same' | 'ancestor' | 'descendant'; readonly last: ProcessStep }
  /** Processed apart after this step. */
  | { readonly kind: 'siblings'; readonly last: ProcessStep }
  /** No event of one can be an event of the other: they were made by different first steps. */
  | { readonly kind: 'different' };

const sameStep = (left: ProcessStep, right: ProcessStep): boolean =>
  left.process === right.process && left.config === right.config;

function sharedSteps(left: History, right: History): number {
  let n = 0;
  while (n < left.length && n < right.length && sameStep(left[n]!, right[n]!)) n++;
  return n;
}

/** How `theirs` relate to `mine`, by the two histories that have most in common; undefined where a side has none. */
export function relateHistories(mine: readonly History[], theirs: readonly History[]): Relation | undefined {
  if (mine.length === 0 || theirs.length === 0) return undefined;
  let best: { readonly shared: number; readonly mine: History; readonly theirs: History } | undefined;
  for (const a of mine) {
    for (const b of theirs) {
      const shared = sharedSteps(a, b);
      const longer = best === undefined || shared > best.shared;
      const whole = shared === best?.shared && shared === a.length && shared === b.length;
      if (longer || whole) best = { shared, mine: a, theirs: b };
    }
  }
  const { shared, mine: a, theirs: b } = best!;
  if (shared === 0) return { kind: 'different' };
  const last = a[shared - 1]!;
  if (shared === a.length) return { kind: shared === b.length ? 'same' : 'descendant', last };
  return { kind: shared === b.length ? 'ancestor' : 'siblings', last };
}

/** Sizes of weights of one sample are closer than this, whatever job made a file and however rare large ones are: told beyond it, never fatal. */
const SIZE_RATIO_MAX = 10;

/** Do the generator weights (their root mean squares) of two files or sources look like those of two samples? */
export function weightsApart(left: GeneratedWeights, right: GeneratedWeights): boolean {
  const [a, b] = [left, right].map(({ sumw2, count }) => Math.sqrt(sumw2 / count)) as [number, number];
  if (!(a > 0 && b > 0 && Number.isFinite(a) && Number.isFinite(b))) return false;
  return Math.max(a / b, b / a) > SIZE_RATIO_MAX;
}

export const historyText = (history: History): string => history.map(({ process }) => process).join(', ');
