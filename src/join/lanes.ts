// Owns which thread does which task of a sequence: neighbours go to the same thread, results come in order.

/** Where a task runs, and whether the next one there reads on from where this one ends: what both need is then kept. */
export interface Lane {
  /** 0 .. width. */
  readonly seat: number;
  readonly goesOn: boolean;
}

interface Lanes {
  readonly width: number;
  /** Neighbours that one thread gets at the most: what lies across their borders is then read once. */
  readonly runMax: number;
  /** Of the tasks left, a thread takes this part of its share at a time: 1 where tasks are alike, less where they vary. */
  readonly share: number;
}

/** Tasks that are one seat's own, in their order. */
interface Stretch {
  next: number;
  end: number;
}

/**
 * Runs tasks on `width` threads and gives their results in the order of the tasks. A thread that is free takes the next
 * neighbours, fewer towards the end so that all end together. Results that wait for those before them are bounded:
 * no task is begun that is width x runMax or more behind the next one to be given.
 */
export async function* inOrder<Task, Result>(
  tasks: readonly Task[],
  { width, runMax, share }: Lanes,
  work: (task: Task, lane: Lane) => Promise<Result>,
): AsyncGenerator<{ readonly task: Task; readonly result: Result }> {
  const results = new Map<number, Promise<Result>>();
  const stretches = Array.from({ length: width }, (): Stretch => ({ next: 0, end: 0 }));
  const going = new Array<number>(width).fill(0);
  // one task more for each seat than runs there, so that none waits for the main thread to take a result
  const [goingMax, ahead] = width > 1 ? [2, width * runMax + 1] : [1, 1];
  let given = 0;
  let begun = 0;
  const begin = (seat: number) => {
    const stretch = stretches[seat]!;
    while (going[seat]! < goingMax) {
      if (stretch.next === stretch.end) {
        if (begun === tasks.length || begun >= given + ahead) return;
        const fair = Math.ceil(((tasks.length - begun) * share) / width);
        stretch.next = begun;
        stretch.end = begun + (width > 1 ? Math.min(runMax, fair) : 1);
        begun = stretch.end;
      }
      const index = stretch.next++;
      going[seat]!++;
      const lane = { seat, goesOn: index + 1 < (width > 1 ? stretch.end : tasks.length) };
      const result = work(tasks[index]!, lane).finally(() => {
        going[seat]!--;
        begin(seat);
      });
      result.catch(() => {});
      results.set(index, result);
    }
  };
  try {
    for (; given < tasks.length; given++) {
      for (let seat = 0; seat < width; seat++) begin(seat);
      const result = await results.get(given)!;
      results.delete(given);
      yield { task: tasks[given]!, result };
    }
  } finally {
    begun = tasks.length; // nothing is begun any more
    for (const stretch of stretches) stretch.next = stretch.end;
  }
}
