// Owns how rows are cut into requests, and events into blocks and row groups: by rows and bytes alone, never by time.
import type { Bound } from './bind-plan.ts';
import type { RowSpan } from './fill.ts';
import type { ModelInfo } from './types.ts';

/** Measured: more rows or bytes a request gain nothing, and cost memory and time to the first answer. */
const BATCH_ROWS = 8192;
const BATCH_BYTES = 2 ** 20;
/** Newer servers refuse requests above 64 MiB. */
export const BATCH_BYTES_MAX = 16 * 2 ** 20;
/** Columns read at a time: while they are decoded no answer is taken, so that it must not last. */
const BLOCK_BYTES = 4 * 2 ** 20;
const BLOCK_ROWS_MIN = 256;
const GROUP_ROWS_MAX = 131_072;
const GROUP_ROWS_MIN = 1024;
const GROUP_BYTES = 64 * 2 ** 20;

export interface BatchLimits {
  /** Rows a request at most; absent = the power of two that fits 1 MiB, at most 8192, and the model. */
  readonly rows?: number;
  readonly bytes: number;
  /** One event a request: for comparison. */
  readonly perEvent: boolean;
}

export interface BatchPlan {
  readonly rows: number;
  readonly bytes: number;
  readonly perEvent: boolean;
}

export function planBatches(bound: Bound, limits: BatchLimits, info: ModelInfo | undefined): BatchPlan {
  const byModel = [bound.model.batchRowsMax, modelRows(info)].filter((rows) => rows !== undefined);
  const byBytes = Math.floor(limits.bytes / bound.rowBytes);
  const asked = limits.rows ?? powerBelow(BATCH_BYTES / bound.rowBytes, 1, BATCH_ROWS);
  const rows = Math.max(1, Math.min(asked, byBytes, ...byModel));
  return { rows, bytes: rows * bound.rowBytes, perEvent: limits.perEvent };
}

/** Without batching the rows are a length like any other: given, or free. */
function modelRows(info: ModelInfo | undefined): number | undefined {
  if (info?.maxBatchSize === undefined) return undefined;
  if (info.maxBatchSize > 0) return info.maxBatchSize;
  const first = info.inputs[0]?.shape[0] ?? -1;
  return first > 0 ? first : undefined;
}

/** The rows of each request of a block; no request is empty. */
export function cutRows(
  rows: number,
  plan: BatchPlan,
  { events, objects }: { readonly events: number; readonly objects?: Int32Array },
): readonly RowSpan[] {
  if (!plan.perEvent) return cutEvery(rows, plan.rows);
  const ends = objects ?? Int32Array.from({ length: events + 1 }, (_, event) => event);
  return Array.from({ length: events }, (_, event) => ({ start: ends[event]!, end: ends[event + 1]! })).flatMap(
    ({ start, end }) =>
      cutEvery(end - start, plan.rows).map((span) => ({ start: start + span.start, end: start + span.end })),
  );
}

function cutEvery(rows: number, size: number): RowSpan[] {
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => ({
    start: i * size,
    end: Math.min(rows, (i + 1) * size),
  }));
}

/** Events start .. end that become one row group, read block by block. */
export interface EventGroup {
  readonly start: number;
  readonly end: number;
  readonly blocks: readonly RowSpan[];
}

export interface GroupSizes {
  readonly events: number;
  /** Raw bytes of the columns that are read, an event. */
  readonly readBytes: number;
  /** Raw bytes of the output, an event. */
  readonly outBytes: number;
}

export function planGroups({ events, readBytes, outBytes }: GroupSizes): {
  readonly groups: readonly EventGroup[];
  readonly groupRows: number;
  readonly blockRows: number;
} {
  const groupRows = powerBelow(GROUP_BYTES / outBytes, GROUP_ROWS_MIN, GROUP_ROWS_MAX);
  const blockRows = powerBelow(BLOCK_BYTES / Math.max(1, readBytes), BLOCK_ROWS_MIN, groupRows);
  const groups = cutEvery(events, groupRows).map(({ start, end }) => ({
    start,
    end,
    blocks: cutEvery(end - start, blockRows).map((span) => ({ start: start + span.start, end: start + span.end })),
  }));
  return { groups, groupRows, blockRows };
}

function powerBelow(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, 2 ** Math.floor(Math.log2(Math.max(1, value)))));
}
