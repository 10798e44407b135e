// Owns index columns: ends of items counting from the cluster's first become offsets of a column and spans of its items.
import type { Take } from '../../core/arena.ts';
import { damaged } from './cursor.ts';
import type { PageTask } from './pages.ts';
import type { Span } from './spans.ts';

const ITEMS_MAX = 2 ** 31 - 1;

/** `spans` begin one element before what is wanted, if there is one: where an item begins is where the one before ends. */
export interface IndexTask extends PageTask {
  readonly wanted: readonly Span[];
  readonly target: { readonly dtype: 'index'; readonly values: Int32Array };
  offsets: Int32Array;
  items: readonly Span[] | undefined;
  readonly waiting: ((items: readonly Span[], task: IndexTask) => void)[];
  /** To be called once the pages are there. */
  done(): void;
}

/** Where the ends of a span stand in the task's values, and where its first item begins. */
function startOf(task: IndexTask, span: number, at: number): { readonly first: number; readonly begin: number } {
  const early = task.wanted[span]!.from - task.spans[span]!.from;
  return { first: at + early, begin: early === 1 ? task.target.values[at]! : 0 };
}

/** Of the elements wanted, from 0. Errors: source/damaged where an end is before the one before. */
export function offsetsOf(task: IndexTask, take: Take): Int32Array {
  const { values } = task.target;
  const length = task.wanted.reduce((sum, { from, to }) => sum + to - from, 0);
  const offsets = take('i32', length + 1) as Int32Array;
  offsets[0] = 0;
  let at = 0;
  let row = 0;
  let base = 0;
  task.wanted.forEach(({ cluster, from, to }, span) => {
    const { first, begin } = startOf(task, span, at);
    let before = begin;
    for (let i = 0; i < to - from; i++) {
      const end = values[first + i]!;
      if (end < before) throw damaged(`the index of cluster ${cluster} goes back at element ${from + i}`);
      offsets[++row] = base + end - begin;
      before = end;
    }
    base += before - begin;
    if (base > ITEMS_MAX) throw damaged(`the index counts ${base} items`);
    at = first + to - from;
  });
  return offsets;
}

export function itemSpans(task: IndexTask): Span[] {
  const { values } = task.target;
  let at = 0;
  return task.wanted.map(({ cluster, from, to }, span) => {
    const { first, begin } = startOf(task, span, at);
    at = first + to - from;
    return { cluster, from: begin, to: to > from ? values[at - 1]! : begin };
  });
}
