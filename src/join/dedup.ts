// Owns --dedup: which columns of different sources are one and the same, told by their seals before anything is moved.
import type { Arena } from '../core/arena.ts';
import { typeName } from '../core/schema.ts';
import { addSeals, keyStates, NO_SEAL, type Seal, sameSeal, sealColumn, sealScope } from '../core/seal.ts';
import { keyRange } from '../keys/store.ts';
import { type Dataset, readRows } from '../source/dataset.ts';
import { inOrder } from './lanes.ts';
import type { EqualColumn, JoinPlan, OutColumn } from './plan.ts';
import type { Executor } from './work.ts';

/** Rows start .. end of a source, to be sealed as read. */
export interface SealTask {
  readonly source: number;
  readonly names: readonly string[];
  readonly start: number;
  readonly end: number;
  /** One byte a row of the task, 1 = the output uses it; absent = all. */
  readonly used?: Uint8Array;
}

/** Rows sealed at a time. */
const SEAL_ROWS = 1 << 16;
/** Raw bytes of the columns of one task. */
const TASK_BYTES = 12 * 2 ** 20;

/**
 * Columns that say the same as an earlier one that differs from it by the label alone: same name in the source, same type,
 * equal seals over the rows of the output, hence the same values of the same events, and missing for the same ones.
 */
export async function findEqual<Encoded>(
  plan: JoinPlan,
  executor: Executor<Encoded>,
  tell: (done: number, total: number) => void,
): Promise<readonly EqualColumn[]> {
  const candidates = candidatesOf(plan);
  const tasks = tasksOf(plan, candidates);
  const seals = new Map<OutColumn, Seal>();
  let done = 0;
  const lanes = { width: executor.width, runMax: tasks.length, share: 1 };
  for await (const { task, result } of inOrder(tasks, lanes, (task, lane) => executor.seal(task, lane))) {
    task.names.forEach((name, i) => {
      const column = candidates.find(({ source, from }) => source === task.source && from === name)!;
      seals.set(column, addSeals(seals.get(column) ?? NO_SEAL, result[i]!));
    });
    tell(++done, tasks.length);
  }
  const missAlike = plan.fill === undefined ? () => true : presenceTest(plan);
  const same = (left: OutColumn, right: OutColumn) =>
    sameKind(left, right) &&
    sameSeal(seals.get(left) ?? NO_SEAL, seals.get(right) ?? NO_SEAL) &&
    missAlike(left.source, right.source);
  return candidates.flatMap((column, i): EqualColumn[] => {
    // of no values nothing is known: both stay
    const some = (seals.get(column) ?? NO_SEAL).present > 0;
    const twin = some ? candidates.find((other, k) => k < i && same(other, column)) : undefined;
    return twin === undefined
      ? []
      : [{ name: column.field.name, source: column.source, from: column.from, column: twin.field.name }];
  });
}

/** A fill value stands for a missing event, not for a null that a source has itself: equal seals do not tell the two apart. */
function presenceTest({ sources, rowsOut }: JoinPlan): (left: number, right: number) => boolean {
  const known = new Map<string, boolean>();
  return (left, right) => {
    const pair = `${left} ${right}`;
    const [a, b] = [sources[left]!.map, sources[right]!.map];
    let alike = known.get(pair) ?? true;
    for (let row = 0; row < rowsOut && alike && !known.has(pair); row++)
      alike = (a === undefined || a[row]! >= 0) === (b === undefined || b[row]! >= 0);
    known.set(pair, alike);
    return alike;
  };
}

const sameKind = (left: OutColumn, right: OutColumn): boolean =>
  left.from === right.from && left.source !== right.source && typeName(left.field.type) === typeName(right.field.type);

function candidatesOf({ columns }: JoinPlan): OutColumn[] {
  const payload = columns.filter(({ kind }) => kind === 'payload');
  const byName = Map.groupBy(payload, ({ from }) => from);
  return payload.filter((column) => byName.get(column.from)!.some((other) => sameKind(other, column)));
}

function tasksOf(plan: JoinPlan, candidates: readonly OutColumn[]): SealTask[] {
  const used = new Map<Int32Array, Uint8Array>();
  return plan.sources.flatMap(({ map, dataset }, source) => {
    const batches = batchesOf(candidates.filter((column) => column.source === source));
    let rows = map && used.get(map);
    if (map !== undefined && rows === undefined) {
      rows = usedRows(map, dataset.rows);
      used.set(map, rows);
    }
    return batches.flatMap((names) => {
      const tasks: SealTask[] = [];
      for (let start = 0; start < dataset.rows; start += SEAL_ROWS) {
        const end = Math.min(dataset.rows, start + SEAL_ROWS);
        tasks.push({ source, names, start, end, ...(rows === undefined ? {} : { used: rows.subarray(start, end) }) });
      }
      return tasks;
    });
  });
}

function usedRows(map: Int32Array, rows: number): Uint8Array {
  const used = new Uint8Array(new SharedArrayBuffer(rows));
  for (let i = 0; i < map.length; i++) if (map[i]! >= 0) used[map[i]!] = 1;
  return used;
}

/** Columns of one collection are neighbours: their offsets are made once. */
function batchesOf(columns: readonly OutColumn[]): string[][] {
  const batches: string[][] = [];
  let bytes = 0;
  for (const { from, rowBytes } of columns) {
    if (batches.length === 0 || bytes + rowBytes * SEAL_ROWS > TASK_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(from);
    bytes += rowBytes * SEAL_ROWS;
  }
  return batches;
}

/** The seals of a task's columns, in their order. */
export async function sealRows(
  plan: JoinPlan,
  dataset: Dataset,
  { source, names, start, end, used }: SealTask,
  { arena, signal }: { readonly arena: Arena; readonly signal?: AbortSignal },
): Promise<readonly Seal[]> {
  if (used !== undefined && !used.includes(1)) return names.map(() => NO_SEAL);
  arena.clear();
  const columns = await readRows(dataset, names, start, end, signal, arena.take, used);
  const states = keyStates(keyRange(plan.sources[source]!.keys, start, end), 0, end - start, arena.take);
  const scope = sealScope(states, used?.includes(0) ? used : undefined, arena.take);
  return columns.map((column) => sealColumn(column, scope));
}
