// Owns how the rows of a source lie under one row group: in place, in a span, or scattered into segments.
import type { Take } from '../core/arena.ts';
import { invariant } from '../core/check.ts';
import { countOnes } from '../core/flags.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { type KeyStates, keyStates, type SealScope, sealScope } from '../core/seal.ts';
import { copyKey, type KeyStore, keyCursor, keyRange, keysAt } from '../keys/store.ts';
import type { Scratch } from '../scratch/scratch.ts';
import { type GatherScope, gatherScope } from './gather.ts';
import type { Block, JoinPlan } from './plan.ts';
import { type Placed, placeSegments, type Segment } from './shuffle.ts';

/** What was scattered into a block, by source, and the scratch that holds what is not in memory. */
export interface SegmentsOf {
  readonly bySource: ReadonlyMap<number, readonly Segment[]>;
  readonly scratch: Scratch | undefined;
}

/** The keys of the output rows: of the first source that has the row. */
export function outputKeys({ sources, key }: JoinPlan, { start, end }: Block): KeyTable {
  const [first] = sources;
  const { stride } = first!.keys;
  if (first!.map === undefined) {
    return { ...keyRange(first!.keys, start, end), spec: key };
  }
  const own = first!.map.subarray(start, end);
  const { words } = keysAt(first!.keys, own);
  if (own.includes(-1)) {
    const cursors = sources.map(({ keys }) => keyCursor(keys));
    for (let i = own.indexOf(-1); i >= 0; i = own.indexOf(-1, i + 1)) {
      const owner = sources.findIndex(({ map }) => map === undefined || map[start + i]! >= 0);
      invariant(owner >= 0, 'every output row comes from a source');
      copyKey(cursors[owner]!(sources[owner]!.map?.[start + i] ?? start + i), stride, words, i * stride);
    }
  }
  return { spec: key, rows: end - start, stride, words };
}

/** How the rows of one source lie under a block. */
export interface SourceView {
  /** Rows lo .. hi of the source hold all that the block needs. */
  readonly lo: number;
  readonly hi: number;
  /** undefined = row lo + i for output row start + i. */
  readonly gather: GatherScope | undefined;
  /** A shuffled source, in place of lo .. hi: its rows are where they belong already. */
  readonly placed?: Placed;
  /** One byte an output row, 0 = the source has no such event; undefined = it has all. */
  readonly present: Uint8Array | undefined;
  /** Seals of the rows lo .. hi that are used; undefined = sealed when they were scattered. */
  readonly source: SealScope | undefined;
  readonly output: SealScope;
  readonly matched: number;
}

interface BlockStates {
  /** Of the output rows of the block. */
  readonly states: KeyStates;
  /** Makes states that last as long as the block's. */
  readonly take: Take;
}

export function viewOf(
  plan: JoinPlan,
  s: number,
  block: Block,
  segments: SegmentsOf,
  { states, take }: BlockStates,
): SourceView {
  const { map, keys, path } = plan.sources[s]!;
  const { start, end } = block;
  const rows = map?.subarray(start, end);
  if (path === 'shuffle') {
    const own = { segments: segments.bySource.get(s) ?? [], scratch: segments.scratch, take };
    const placed = placeSegments(plan, s, block, own);
    const present = placed.valid;
    const output = sealScope(states, present);
    const matched = present === undefined ? end - start : countOnes(present);
    return { lo: 0, hi: 0, gather: undefined, placed, present, source: undefined, output, matched };
  }
  if (rows === undefined && s === 0) return ownView(start, end, states);
  if (rows === undefined) return straightView(keys, start, end, { states, take });
  const { lo, hi, straight } = spanOf(rows);
  if (straight) return straightView(keys, lo, hi, { states, take });
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
  const source = sealScope(keyStates(keyRange(keys, lo, hi), 0, hi - lo, take), matched === hi - lo ? undefined : used);
  return { lo, hi, gather, present: gather.valid, source, output: sealScope(states, gather.valid), matched };
}

/** The output's keys are the primary's own, row by row: one seal serves both sides. */
function ownView(lo: number, hi: number, states: KeyStates): SourceView {
  const output = sealScope(states);
  return { lo, hi, gather: undefined, present: undefined, source: output, output, matched: hi - lo };
}

/** Rows in place: where the states are equal too, one seal of the one column serves both sides. */
function straightView(keys: KeyStore, lo: number, hi: number, { states, take }: BlockStates): SourceView {
  const own = keyStates(keyRange(keys, lo, hi), 0, hi - lo, take);
  const output = sealScope(states);
  const same = sameWords(own.a, states.a) && sameWords(own.b, states.b);
  const source = same ? output : sealScope(own);
  return { lo, hi, gather: undefined, present: undefined, source, output, matched: hi - lo };
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

/** The same view for one batch of columns: what collections share is kept no longer than the batch, as all arrays made. */
export function batchView(view: SourceView, take: Take): SourceView {
  const output = { ...view.output, lists: new Map(), take };
  return {
    ...view,
    output,
    source: view.source === view.output ? output : view.source && { ...view.source, lists: new Map(), take },
    gather: view.gather && { ...view.gather, lists: new Map(), take, work: take },
    ...(view.placed === undefined ? {} : { placed: view.placed.fresh(take) }),
  };
}
