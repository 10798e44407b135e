// Owns the scores of joined rows (--infer): blocks pass by, a scorer makes columns of them, and these are sealed and encoded behind the others.
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { keyStates, sealColumn, sealScope } from '../core/seal.ts';
import type { SinkFormat, SinkOptions } from '../sink/types.ts';
import { outputKeys } from './block-view.ts';
import type { JoinPlan } from './plan.ts';
import type { MadeBlock } from './run.ts';

/** Whoever makes scores of columns; it lies outside of the join. */
export interface Scorer {
  /** `columns`: the plan's `scored`, of rows from `first`. Resolves when all is on its way; `done` when the scores are there. */
  begin(first: number, columns: readonly Column[]): Promise<{ readonly done: Promise<readonly Column[]> }>;
}

/** Blocks that wait for their scores while the next ones are asked for. */
const WAITING_MAX = 2;

/** The same blocks in the same order, each with its scores. */
export async function* withScores<Encoded>(
  plan: JoinPlan,
  blocks: AsyncGenerator<MadeBlock<Encoded>>,
  format: SinkFormat<Encoded>,
  { scorer, sink }: { readonly scorer: Scorer; readonly sink: SinkOptions },
): AsyncGenerator<MadeBlock<Encoded>> {
  const waiting: { readonly made: MadeBlock<Encoded>; readonly done: Promise<readonly Column[]> }[] = [];
  const next = async (): Promise<MadeBlock<Encoded>> => {
    const { made, done } = waiting.shift()!;
    return behind(plan, made, await done, format, sink);
  };
  for await (const made of blocks) {
    const { scored, ...result } = made.result;
    invariant(scored !== undefined, 'a block gives away what scores are made from');
    const { done } = await scorer.begin(made.block.start, scored);
    waiting.push({ made: { ...made, result }, done });
    if (waiting.length >= WAITING_MAX) yield await next();
  }
  while (waiting.length > 0) yield await next();
}

async function behind<Encoded>(
  plan: JoinPlan,
  { block, result }: MadeBlock<Encoded>,
  scores: readonly Column[],
  format: SinkFormat<Encoded>,
  sink: SinkOptions,
): Promise<MadeBlock<Encoded>> {
  const fields = plan.columns.filter(({ kind }) => kind === 'score').map(({ field }) => field);
  const keys = outputKeys(plan, block);
  const scope = sealScope(keyStates(keys, 0, keys.rows));
  const seals = scores.map((column) => {
    const seal = sealColumn(column, scope);
    return { source: undefined, moved: seal, written: seal };
  });
  const encoded = await format.encode(fields, scores, sink);
  return {
    block,
    result: { ...result, encoded: [...result.encoded, ...encoded], seals: [...result.seals, ...seals] },
  };
}
