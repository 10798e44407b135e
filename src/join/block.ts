// Owns making one row group: read or take the rows of each source, gather, seal both sides, check lengths, encode.
import { invariant } from '../core/check.ts';
import { type Column, type FlatColumn, flatColumn } from '../core/column.ts';
import { allocate, type Values } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import { type KeyTable, keyText } from '../core/key-spec.ts';
import { type KeyStates, keyStates, type Seal, type SealScope, sealColumn, sealKeys, sealScope } from '../core/seal.ts';
import type { SinkFormat, SinkOptions } from '../sink/types.ts';
import { type Dataset, locateRow, readRows } from '../source/dataset.ts';
import { type GatherScope, gatherColumn, gatherScope } from './gather.ts';
import type { Block, JoinPlan, LengthCheck, OutColumn } from './plan.ts';
import { type Gathered, gatherSegments, type Segment } from './shuffle.ts';

/** Columns of one source read, moved and encoded at a time: bounds what is held beside the encoded bytes. */
const COLUMNS_AT_ONCE = 64;

export interface BlockContext<Encoded> {
  readonly plan: JoinPlan;
  readonly datasets: readonly Dataset[];
  readonly format: SinkFormat<Encoded>;
  readonly options: SinkOptions;
}

/** What was scattered into a block, by source. */
export type SegmentsOf = ReadonlyMap<number, readonly Segment[]>;

/** The seals of one output column over one block. */
export interface ColumnSeals {
  /** Over the source rows used, before any move; undefined for columns that no source has, and for shuffled sources (PartSeals). */
  readonly source: Seal | undefined;
  /** Over the output rows that came from the source. */
  readonly moved: Seal;
  /** Over the output as written: differs from `moved` only where a fill value was put in. */
  readonly written: Seal;
}

export interface BlockResult<Encoded> {
  readonly rows: number;
  readonly encoded: readonly Encoded[];
  readonly seals: readonly ColumnSeals[];
  readonly keySeal: Seal;
  /** Over the keys of the rows used, one a source; undefined for shuffled sources. */
  readonly sourceKeySeals: readonly (Seal | undefined)[];
  readonly matched: readonly number[];
}

export async function makeBlock<Encoded>(
  context: BlockContext<Encoded>,
  block: Block,
  segments: SegmentsOf,
  signal: AbortSignal,
): Promise<BlockResult<Encoded>> {
  const { plan } = context;
  const keys = outputKeys(plan, block);
  const states = keyStates(keys, 0, keys.rows);
  const encoded = new Array<Encoded>(plan.columns.length);
  const seals = new Array<ColumnSeals>(plan.columns.length);
  const work: BlockWork<Encoded> = { context, block, segments, keys, states, encoded, seals, signal };
  await placeKeys(work);
  const sourceKeySeals: (Seal | undefined)[] = [];
  const matched: number[] = [];
  const lengths = await primaryCounters(work);
  for (let s = 0; s < plan.sources.length; s++) {
    const view = viewOf(work, s);
    sourceKeySeals.push(view.source && sealKeys(view.source.states, view.source.rows));
    matched.push(view.matched);
    await placePayload(work, s, view, lengths);
  }
  await placeFlags(work);
  return { rows: keys.rows, encoded, seals, keySeal: sealKeys(states), sourceKeySeals, matched };
}

interface BlockWork<Encoded> {
  readonly context: BlockContext<Encoded>;
  readonly block: Block;
  readonly segments: SegmentsOf;
  readonly keys: KeyTable;
  readonly states: KeyStates;
  readonly encoded: Encoded[];
  readonly seals: ColumnSeals[];
  readonly signal: AbortSignal;
}

/** The keys of the output rows: of the first source that has the row. */
export function outputKeys({ sources, key }: JoinPlan, { start, end }: Block): KeyTable {
  const [first] = sources;
  const { stride } = first!.keys;
  if (first!.map === undefined) {
    return { spec: key, rows: end - start, stride, words: first!.keys.words.subarray(start * stride, end * stride) };
  }
  const words = new Uint32Array((end - start) * stride);
  for (let row = start; row < end; row++) {
    const owner = sources.find(({ map }) => map === undefined || map[row]! >= 0);
    invariant(owner !== undefined, 'every output row comes from a source');
    const from = (owner.map === undefined ? row : owner.map[row]!) * stride;
    const to = (row - start) * stride;
    for (let k = 0; k < stride; k++) words[to + k] = owner.keys.words[from + k]!;
  }
  return { spec: key, rows: end - start, stride, words };
}

/** How the rows of one source lie under a block. */
interface SourceView {
  /** Rows lo .. hi of the source hold all that the block needs. */
  readonly lo: number;
  readonly hi: number;
  /** undefined = row lo + i for output row start + i. */
  readonly gather: GatherScope | undefined;
  /** Rows of a shuffled source, instead of lo .. hi. */
  readonly gathered?: Gathered;
  /** Seals of the rows lo .. hi that are used; undefined = sealed when they were scattered. */
  readonly source: SealScope | undefined;
  readonly output: SealScope;
  readonly matched: number;
}

function viewOf<Encoded>({ context, block, segments, states }: BlockWork<Encoded>, s: number): SourceView {
  const { map, keys, path } = context.plan.sources[s]!;
  const { start, end } = block;
  const rows = map?.subarray(start, end);
  if (path === 'shuffle') {
    invariant(rows !== undefined, 'a shuffled source has a row map');
    const gathered = gatherSegments(context.plan, s, block, segments.get(s) ?? []);
    const gather = gatherScope(gathered.places);
    const output = sealScope(states, gather.valid);
    return { lo: 0, hi: 0, gather, gathered, source: undefined, output, matched: countPresent(gather) };
  }
  if (rows === undefined) return straightView({ keys, lo: start, hi: end, states });
  const { lo, hi, straight } = spanOf(rows);
  if (straight) return straightView({ keys, lo, hi, states });
  const local = new Int32Array(rows.length);
  const used = new Uint8Array(hi - lo);
  let matched = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    local[i] = row < 0 ? -1 : row - lo;
    if (row < 0) continue;
    used[row - lo] = 1;
    matched++;
  }
  const gather = gatherScope(local);
  const source = sealScope(keyStates(keys, lo, hi - lo), matched === hi - lo ? undefined : used);
  return { lo, hi, gather, source, output: sealScope(states, gather.valid), matched };
}

function countPresent({ valid, rows }: GatherScope): number {
  if (valid === undefined) return rows.length;
  let count = 0;
  for (let i = 0; i < valid.length; i++) count += valid[i]!;
  return count;
}

/** Rows in place: where the states are equal too, one seal of the one column serves both sides. */
function straightView({
  keys,
  lo,
  hi,
  states,
}: {
  keys: KeyTable;
  lo: number;
  hi: number;
  states: KeyStates;
}): SourceView {
  const own = keyStates(keys, lo, hi - lo);
  const output = sealScope(states);
  const same = sameWords(own.a, states.a) && sameWords(own.b, states.b);
  return { lo, hi, gather: undefined, source: same ? output : sealScope(own), output, matched: hi - lo };
}

function sameWords(left: Int32Array, right: Int32Array): boolean {
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return left.length === right.length;
}

/** The span of rows used, and whether it is used whole and in order. */
export function spanOf(rows: Int32Array): { readonly lo: number; readonly hi: number; readonly straight: boolean } {
  let lo = 0x7fffffff;
  let hi = 0;
  let straight = rows.length > 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (row < 0) {
      straight = false;
      continue;
    }
    if (row < lo) lo = row;
    if (row >= hi) hi = row + 1;
    if (row !== rows[0]! + i) straight = false;
  }
  return hi === 0 ? { lo: 0, hi: 0, straight: false } : { lo, hi, straight };
}

/** Key columns are written from the key words, in the primary's own types. */
async function placeKeys<Encoded>(work: BlockWork<Encoded>): Promise<void> {
  const { keys, states } = work;
  const scope = sealScope(states);
  let lane = 0;
  const lanes = keys.spec.columns.map((column) => {
    lane += column.words;
    return lane - column.words;
  });
  await place(work, 'key', (column) => {
    const spec = keys.spec.columns[column.keyIndex!]!;
    invariant(column.field.type.kind === 'flat', 'a key column is flat');
    const values = allocate(column.field.type.dtype, keys.rows);
    wordsToValues(keys, lanes[column.keyIndex!]!, spec.words, values);
    const out = flatColumn(column.field.type.dtype, values);
    const seal = sealColumn(out, scope);
    return { out, seals: { source: seal, moved: seal, written: seal } };
  });
}

function wordsToValues({ words, stride, rows }: KeyTable, lane: number, width: 1 | 2, values: Values): void {
  if (values.BYTES_PER_ELEMENT === 8) {
    const out = new Uint32Array(values.buffer, values.byteOffset, 2 * rows);
    for (let i = 0, at = lane; i < rows; i++, at += stride) {
      out[2 * i] = words[at]!;
      out[2 * i + 1] = width === 2 ? words[at + 1]! : 0;
    }
    return;
  }
  const out = values as Int32Array;
  for (let i = 0, at = lane; i < rows; i++, at += stride) out[i] = words[at]!;
}

async function placeFlags<Encoded>(work: BlockWork<Encoded>): Promise<void> {
  const { block, context, states } = work;
  const scope = sealScope(states);
  await place(work, 'missing', (column) => {
    const reasons = context.plan.sources[column.source]!.reasons?.subarray(block.start, block.end);
    const out = flatColumn(
      'u8',
      reasons === undefined ? new Uint8Array(block.end - block.start) : new Uint8Array(reasons),
    );
    const seal = sealColumn(out, scope);
    return { out, seals: { source: undefined, moved: seal, written: seal } };
  });
}

/** Makes, seals and encodes all output columns of one kind. */
async function place<Encoded>(
  { context, encoded, seals }: BlockWork<Encoded>,
  kind: OutColumn['kind'],
  make: (column: OutColumn) => { readonly out: Column; readonly seals: ColumnSeals },
): Promise<void> {
  const { plan, format, options } = context;
  const at = plan.columns.flatMap((column, i) => (column.kind === kind ? [i] : []));
  const made = at.map((i) => make(plan.columns[i]!));
  const fields = at.map((i) => plan.columns[i]!.field);
  const bytes = await format.encode(
    fields,
    made.map(({ out }) => out),
    options,
  );
  at.forEach((i, k) => {
    encoded[i] = bytes[k]!;
    seals[i] = made[k]!.seals;
  });
}

/** The primary's counters of this block, for the checks of friends' lists. */
async function primaryCounters<Encoded>(work: BlockWork<Encoded>): Promise<ReadonlyMap<string, Column>> {
  const { context, signal } = work;
  const names = [
    ...new Set(
      context.plan.checks
        .filter((check) => check.source > 0 && check.counterSource === 0)
        .map(({ counter }) => counter),
    ),
  ];
  if (names.length === 0) return new Map();
  const view = viewOf(work, 0);
  const columns = await readRows(context.datasets[0]!, names, view.lo, view.hi, signal);
  return new Map(names.map((name, i) => [name, moved(columns[i]!, view)]));
}

function moved(column: Column, view: SourceView): Column {
  return view.gather === undefined ? column : gatherColumn(column, view.gather);
}

async function placePayload<Encoded>(
  work: BlockWork<Encoded>,
  s: number,
  view: SourceView,
  counters: ReadonlyMap<string, Column>,
): Promise<void> {
  const { plan } = work.context;
  const wanted = plan.columns.flatMap((column, i) => (column.kind === 'payload' && column.source === s ? [i] : []));
  for (const batch of batches(wanted, plan)) {
    work.signal.throwIfAborted();
    const own = plan.checks.filter(
      (check) => check.source === s && check.counterSource === s && batchHas(plan, batch, check),
    );
    const names = [...new Set([...batch.map((i) => plan.columns[i]!.from), ...own.map(({ counter }) => counter)])];
    const columns = await takeColumns(work, s, view, names);
    const byName = new Map(names.map((name, i) => [name, columns[i]!]));
    await placeBatch(work, { s, view, batch, byName, counters });
  }
}

function batchHas(plan: JoinPlan, batch: readonly number[], check: LengthCheck): boolean {
  return batch.some((i) => plan.columns[i]!.from === check.list);
}

/** Columns of one collection stay together, so that what they share is done once. */
function batches(wanted: readonly number[], plan: JoinPlan): number[][] {
  const groups = new Map<string, number[]>();
  for (const i of wanted) {
    const { counter } = plan.columns[i]!.field;
    const group = counter ?? '';
    groups.set(group, [...(groups.get(group) ?? []), i]);
  }
  const out: number[][] = [[]];
  for (const group of [...groups.values()]) {
    for (let at = 0; at < group.length; at += COLUMNS_AT_ONCE) {
      const part = group.slice(at, at + COLUMNS_AT_ONCE);
      if (out.at(-1)!.length + part.length > COLUMNS_AT_ONCE) out.push([]);
      out.at(-1)!.push(...part);
    }
  }
  return out.filter((batch) => batch.length > 0);
}

async function takeColumns<Encoded>(
  work: BlockWork<Encoded>,
  s: number,
  view: SourceView,
  names: readonly string[],
): Promise<readonly Column[]> {
  const { context, signal } = work;
  const { gathered } = view;
  if (gathered !== undefined) return names.map((name) => gathered.column(name));
  return readRows(context.datasets[s]!, names, view.lo, view.hi, signal);
}

interface Batch {
  readonly s: number;
  readonly view: SourceView;
  readonly batch: readonly number[];
  readonly byName: ReadonlyMap<string, Column>;
  readonly counters: ReadonlyMap<string, Column>;
}

async function placeBatch<Encoded>(
  work: BlockWork<Encoded>,
  { s, view, batch, byName, counters }: Batch,
): Promise<void> {
  const { context, encoded, seals } = work;
  const { plan, format, options } = context;
  const out: Column[] = [];
  for (const i of batch) {
    const { from } = plan.columns[i]!;
    const column = byName.get(from)!;
    const gathered = moved(column, view);
    const source = view.source && sealColumn(column, view.source);
    const reuse = view.source === view.output && gathered === column;
    const after = reuse && source !== undefined ? source : sealColumn(gathered, view.output);
    const written = plan.fill === undefined ? gathered : fillAbsent(gathered, view.gather?.valid, plan.fill);
    out.push(written);
    seals[i] = {
      source,
      moved: after,
      written: written === gathered ? after : sealColumn(written, sealScope(work.states)),
    };
  }
  checkLengths(work, { s, view, batch, byName, counters }, out);
  if (plan.layout === 'nano') refuseNulls(work, batch, out);
  const bytes = await format.encode(
    batch.map((i) => plan.columns[i]!.field),
    out,
    options,
  );
  batch.forEach((i, k) => {
    encoded[i] = bytes[k]!;
  });
}

/** The fill value where the event is missing; lists become empty ones. Own nulls of the source stay null. */
function fillAbsent(column: Column, present: Uint8Array | undefined, fill: number): Column {
  if (present === undefined || column.valid === undefined) return column;
  const own = column.valid === present ? undefined : column.valid.map((valid, i) => (present[i] === 0 ? 1 : valid));
  if (column.kind !== 'flat') return { ...column, valid: own };
  const values = column.values.slice();
  const wide = column.dtype === 'i64' || column.dtype === 'u64';
  for (let i = 0; i < present.length; i++)
    if (present[i] === 0) values[i] = wide ? BigInt(fill) : column.dtype === 'bool' ? Number(fill !== 0) : fill;
  return { ...column, values, valid: own };
}

function refuseNulls<Encoded>(
  { context, keys }: BlockWork<Encoded>,
  batch: readonly number[],
  columns: readonly Column[],
): void {
  columns.forEach((column, k) => {
    const row = column.valid?.indexOf(0) ?? -1;
    if (row < 0) return;
    const name = context.plan.columns[batch[k]!]!.field.name;
    throw new ColweaveError('join/null-in-nano', `column "${name}" has no value for an event`, {
      details: [`the first one: ${keyText(keys, row)}`],
    });
  });
}

/** Lists and counters that must agree: inside a source before the move, against the primary's counter after it. */
function checkLengths<Encoded>(
  work: BlockWork<Encoded>,
  { s, view, batch, byName, counters }: Batch,
  out: readonly Column[],
): void {
  const { plan, datasets } = work.context;
  for (const check of plan.checks) {
    if (check.source !== s || !batchHas(plan, batch, check)) continue;
    if (check.counterSource === s) {
      const bad = firstUnequal(byName.get(check.list)!, byName.get(check.counter) as FlatColumn);
      if (bad === undefined) continue;
      const row = view.source === undefined ? undefined : view.lo + bad.row;
      const place = row === undefined ? undefined : locateRow(datasets[s]!.descriptor, row);
      throw new ColweaveError(
        'join/counter-differs',
        `list "${check.list}" has ${bad.length} items where ${check.counter} says ${bad.count}`,
        {
          where: place === undefined ? [plan.sources[s]!.label] : [place.uri, `entry ${place.entry}`],
        },
      );
    }
    const column = out[batch.findIndex((i) => plan.columns[i]!.from === check.list)]!;
    const bad = firstUnequal(column, counters.get(check.counter) as FlatColumn);
    if (bad === undefined) continue;
    throw new ColweaveError(
      'join/list-length',
      `source "${plan.sources[s]!.label}" has ${bad.length} items in ${check.list} where the primary's ${check.counter} is ${bad.count}`,
      { details: [`the first event: ${keyText(work.keys, bad.row)}`] },
    );
  }
}

function firstUnequal(
  list: Column,
  counter: FlatColumn,
): { readonly row: number; readonly length: number; readonly count: string } | undefined {
  if (list.kind !== 'list') return undefined;
  const { offsets, valid } = list;
  const counts =
    counter.values.BYTES_PER_ELEMENT === 8
      ? Float64Array.from(counter.values as BigInt64Array, Number)
      : (counter.values as Int32Array);
  for (let row = 0; row < list.length; row++) {
    if (valid?.[row] === 0 || counter.valid?.[row] === 0) continue;
    const length = offsets[row + 1]! - offsets[row]!;
    if (length !== counts[row]) return { row, length, count: String(counter.values[row]) };
  }
  return undefined;
}
