// Owns the table of lumi blocks of a set of keys, as the receipt states it.
import type { KeyTable } from '../core/key-spec.ts';
import type { LumiRanges } from '../core/receipt.ts';
import { type KeyStore, keyChunks } from '../keys/store.ts';

/** Events per run and lumi block. */
export type LumiCounts = Map<number, Map<number, number>>;

/** Adds the rows of a table to the counts; keys without run and luminosityBlock count nothing. */
export function countLumis(counts: LumiCounts, keys: KeyTable): void {
  const lanes = lumiLanes(keys);
  if (lanes === undefined) return;
  const { words, stride, rows } = keys;
  for (let row = 0; row < rows; ) {
    const end = endOfLumi(words, stride, lanes, row, rows);
    const run = words[row * stride + lanes.run]!;
    const lumi = words[row * stride + lanes.lumi]!;
    let blocks = counts.get(run);
    if (blocks === undefined) {
      blocks = new Map();
      counts.set(run, blocks);
    }
    blocks.set(lumi, (blocks.get(lumi) ?? 0) + end - row);
    row = end;
  }
}

/** The first row after `row` that is of another lumi block, or `rows`. */
function endOfLumi(words: Uint32Array, stride: number, { run, lumi }: Lanes, row: number, rows: number): number {
  let at = row * stride;
  const ownRun = words[at + run];
  const ownLumi = words[at + lumi];
  let end = row;
  for (; end < rows && words[at + run] === ownRun && words[at + lumi] === ownLumi; end++) at += stride;
  return end;
}

interface Lanes {
  readonly run: number;
  readonly lumi: number;
}

function lumiLanes(keys: Pick<KeyTable, 'spec'>): Lanes | undefined {
  const names = keys.spec.columns.map((column) => column.name);
  const run = names.indexOf('run');
  const lumi = names.indexOf('luminosityBlock');
  if (run < 0 || lumi < 0) return undefined;
  const lane = (column: number) => keys.spec.columns.slice(0, column).reduce((sum, { words }) => sum + words, 0);
  return { run: lane(run), lumi: lane(lumi) };
}

/** Runs ascending; neighbouring lumi blocks with the same number of events are one stretch. */
export function lumiRanges(counts: LumiCounts): LumiRanges {
  const ascending = (left: number, right: number) => left - right;
  return [...counts.keys()].sort(ascending).map((run) => {
    const blocks = counts.get(run)!;
    const stretches: [number, number, number][] = [];
    for (const lumi of [...blocks.keys()].sort(ascending)) {
      const events = blocks.get(lumi)!;
      const last = stretches.at(-1);
      if (last !== undefined && last[1] + 1 === lumi && last[2] === events) last[1] = lumi;
      else stretches.push([lumi, lumi, events]);
    }
    return [String(run), stretches] as const;
  });
}

export function hasLumi(counts: LumiCounts, run: number, lumi: number): boolean {
  return counts.get(run)?.has(lumi) ?? false;
}

/** 1 = no such event, 2 = its whole lumi block is absent, 4 = a selection cut it (`cut`, one byte an output row): why each output row has no event of a source. */
export function missingReasons(
  map: Int32Array,
  outKeys: (row: number) => { readonly words: Uint32Array; readonly at: number },
  source: KeyStore,
  cut?: Uint8Array,
): Uint8Array {
  const reasons = new Uint8Array(new SharedArrayBuffer(map.length));
  const lanes = lumiLanes(source);
  const counts: LumiCounts = new Map();
  for (const { table } of keyChunks(source)) countLumis(counts, table);
  for (let row = 0; row < map.length; row++) {
    if (map[row]! >= 0) continue;
    reasons[row] = cut?.[row] === 1 ? 4 : 1;
    if (reasons[row] === 4) continue;
    if (lanes === undefined) continue;
    const { words, at } = outKeys(row);
    if (!hasLumi(counts, words[at + lanes.run]!, words[at + lanes.lumi]!)) reasons[row] = 2;
  }
  return reasons;
}
