// Owns the flow of an inference run: blocks of columns to tensors, requests on their way, answers to row groups in order.
import { type Arena, makeArena } from '../core/arena.ts';
import { type Column, concatColumns } from '../core/column.ts';
import type { Emit } from '../core/events.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import { readKeys } from '../keys/read.ts';
import { type Dataset, readRows } from '../source/dataset.ts';
import { awaitAnswers, outputFields } from './answers.ts';
import { type Asker, type Lane, openLane } from './ask.ts';
import { type BatchPlan, cutRows, type EventGroup } from './batch-plan.ts';
import { type BoundBlock, bindBlock } from './bind.ts';
import type { Bound } from './bind-plan.ts';
import type { RowSpan } from './fill.ts';
import { makeTensorRoom, type TensorRoom } from './tensor-room.ts';

export interface InferRun {
  readonly dataset: Dataset;
  readonly key: KeySpec;
  readonly bound: Bound;
  readonly plan: BatchPlan;
  readonly groups: readonly EventGroup[];
  readonly asker: Asker;
  /** Scores of an earlier run, if it finished this group. */
  readonly finished?: (group: EventGroup, keys: KeyTable) => Scores | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface Scores {
  /** In the order of the output fields. */
  readonly columns: readonly Column[];
  /** By column: values that are NaN or infinite. */
  readonly nonFinite: readonly number[];
  /** Rows of tensors. */
  readonly rows: number;
  readonly requests: number;
}

export interface DoneGroup extends Scores {
  readonly group: EventGroup;
  readonly keys: KeyTable;
  /** Taken from an earlier run. */
  readonly resumed: boolean;
}

/** Groups whose answers are waited for while the next ones are sent. */
const GROUPS_WAITING_MAX = 2;

/** Row groups in order. The first failure of any request ends it, and stops the others. */
export async function* inferGroups(run: InferRun): AsyncGenerator<DoneGroup> {
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const arena = makeArena();
  const work: Work = {
    ...run,
    signal,
    lane: openLane(run.asker, signal),
    room: makeTensorRoom(),
    arena,
    told: { events: 0 },
  };
  const waiting: Promise<DoneGroup>[] = [];
  try {
    let failure: { readonly error: unknown } | undefined;
    for (const group of run.groups) {
      try {
        waiting.push((await startGroup(work, group)).done);
      } catch (error) {
        failure = { error };
        break;
      }
      if (waiting.length >= GROUPS_WAITING_MAX) yield await waiting.shift()!;
    }
    // what is answered whole is given before a failure of what comes after it: it may be kept
    while (waiting.length > 0) yield await waiting.shift()!;
    if (failure !== undefined) throw failure.error;
  } finally {
    stop.abort(new Error('the run ended'));
    arena.close();
  }
}

interface Work extends InferRun {
  readonly lane: Lane;
  readonly room: TensorRoom;
  /** Of the columns of one block: they are used up when its last request is on its way. */
  readonly arena: Arena;
  readonly told: { events: number };
}

/** What sending a block takes. */
export interface Sending {
  readonly bound: Bound;
  readonly plan: BatchPlan;
  readonly asker: Asker;
  readonly lane: Lane;
  readonly room: TensorRoom;
  readonly signal: AbortSignal;
}

/** Wrapped, so that who awaits the start does not await the end. */
async function startGroup(work: Work, group: EventGroup): Promise<{ readonly done: Promise<DoneGroup> }> {
  const { dataset, key, signal, emit, told, bound } = work;
  signal.throwIfAborted();
  const keys = await readKeys(dataset, key, group, signal);
  const events = group.end - group.start;
  const before = work.finished?.(group, keys);
  const progress = (count: number) => {
    told.events += count;
    emit({ type: 'progress', stage: 'infer', done: told.events, total: dataset.descriptor.rows });
  };
  if (before !== undefined) {
    progress(events);
    return { done: Promise.resolve({ ...before, group, keys, resumed: true }) };
  }
  const blocks: Promise<Scores>[] = [];
  for (const block of group.blocks) {
    work.arena.clear();
    const columns = await readRows(dataset, bound.read, block.start, block.end, signal, work.arena.take);
    const scores = await sendBlock(work, block.start, bindBlock(bound, columns));
    const done = scores.done.then((found) => {
      progress(block.end - block.start);
      return found;
    });
    done.catch(() => {});
    blocks.push(done);
  }
  const done = Promise.all(blocks).then((scores) => ({ ...together(bound, scores), group, keys, resumed: false }));
  done.catch(() => {});
  return { done };
}

/** Returns when the last request of the block is on its way. `first`: a number that no other block has. */
export async function sendBlock(
  work: Sending,
  first: number,
  tensors: BoundBlock,
): Promise<{ readonly done: Promise<Scores> }> {
  const { bound, plan, lane } = work;
  const answers = awaitAnswers(bound.model, tensors.rows, tensors.objects?.slice());
  const spans = cutRows(tensors.rows, plan, tensors);
  const sent: Promise<void>[] = [];
  for (const span of spans) {
    const bytes = (span.end - span.start) * bound.rowBytes;
    await lane.enter(bytes);
    work.signal.throwIfAborted();
    sent.push(lane.follow(bytes, askRows(work, first, span, { tensors, place: answers.place })));
  }
  const done = Promise.all(sent).then(() => {
    const { columns, nonFinite } = answers.finish();
    return { columns, nonFinite, rows: tensors.rows, requests: spans.length };
  });
  done.catch(() => {});
  return { done };
}

interface Asking {
  readonly tensors: BoundBlock;
  readonly place: ReturnType<typeof awaitAnswers>['place'];
}

async function askRows(work: Sending, first: number, span: RowSpan, { tensors, place }: Asking): Promise<void> {
  const { asker, bound, room, signal } = work;
  const inputs = tensors.tensors(span, room);
  const request = {
    id: `${first}-${span.start}-${span.end}`,
    model: bound.model.name,
    version: asker.info.version,
    inputs,
    outputs: bound.model.outputs.map(({ name }) => name),
  };
  place(span, await asker.ask(request, signal));
  room.giveBack(inputs);
}

function together({ model }: Bound, scores: readonly Scores[]): Scores {
  const fields = outputFields(model);
  const sum = (of: (each: Scores) => number) => scores.reduce((total, each) => total + of(each), 0);
  return {
    columns: fields.map(({ type }, c) =>
      concatColumns(
        type,
        scores.map(({ columns }) => columns[c]!),
      ),
    ),
    nonFinite: fields.map((_, c) => sum(({ nonFinite }) => nonFinite[c]!)),
    rows: sum(({ rows }) => rows),
    requests: sum(({ requests }) => requests),
  };
}
