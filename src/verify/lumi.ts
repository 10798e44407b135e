// Owns the lumi table as verify counts it: events per run and lumi block, and where two tables differ.
import type { KeyTable } from '../core/key-spec.ts';
import type { LumiRanges } from '../core/receipt.ts';

/** `run:lumi` to events. */
export type LumiEvents = Map<string, number>;

/** Word of the run and of the lumi block in a row of keys, or undefined for keys without both. */
function lumiWords(keys: KeyTable): readonly [run: number, lumi: number] | undefined {
  let word = 0;
  const at = new Map<string, number>();
  for (const column of keys.spec.columns) {
    at.set(column.name, word);
    word += column.words;
  }
  const run = at.get('run');
  const lumi = at.get('luminosityBlock');
  return run === undefined || lumi === undefined ? undefined : [run, lumi];
}

export function addLumis(events: LumiEvents, keys: KeyTable): void {
  const places = lumiWords(keys);
  if (places === undefined) return;
  const [run, lumi] = places;
  const { words, stride } = keys;
  const end = keys.rows * stride;
  let start = 0;
  for (let at = stride; start < end; at += stride) {
    if (at < end && words[at + run] === words[start + run] && words[at + lumi] === words[start + lumi]) continue;
    const name = `${words[start + run]}:${words[start + lumi]}`;
    events.set(name, (events.get(name) ?? 0) + (at - start) / stride);
    start = at;
  }
}

/** `1:42` of a row, or undefined for keys without lumi blocks. */
export function lumiOf(keys: KeyTable, row: number): string | undefined {
  const places = lumiWords(keys);
  if (places === undefined) return undefined;
  const at = row * keys.stride;
  return `${keys.words[at + places[0]]}:${keys.words[at + places[1]]}`;
}

/** Stretches are [first, last, events in each block]. Blocks beyond `blocksMax` are an edited table: undefined. */
export function expandLumis(ranges: LumiRanges, blocksMax: number): LumiEvents | undefined {
  const events: LumiEvents = new Map();
  for (const [run, stretches] of ranges) {
    for (const [first, last, count] of stretches) {
      if (last < first || events.size + (last - first) >= blocksMax) return undefined;
      for (let lumi = first; lumi <= last; lumi++) events.set(`${run}:${lumi}`, count);
    }
  }
  return events;
}

export function totalEvents(events: LumiEvents): number {
  let total = 0;
  for (const count of events.values()) total += count;
  return total;
}

/** Lumi blocks that have fewer events, and more events, than they should. */
export function compareLumis(
  actual: LumiEvents,
  expected: LumiEvents,
): { readonly fewer: readonly string[]; readonly more: readonly string[] } {
  const fewer: string[] = [];
  const more: string[] = [];
  for (const name of new Set([...expected.keys(), ...actual.keys()])) {
    const difference = (actual.get(name) ?? 0) - (expected.get(name) ?? 0);
    if (difference < 0) fewer.push(name);
    if (difference > 0) more.push(name);
  }
  return { fewer, more };
}
