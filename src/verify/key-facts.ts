// Owns what a receipt's check wants to know of the keys of a file: from a table of all, or from more than memory holds.
import { type KeySpec, keyStride, keyText } from '../core/key-spec.ts';
import type { SourceFile } from '../source/types.ts';
import { eventSet } from './event-sets.ts';
import { type SortLimits, sortSet } from './key-runs.ts';
import { addLumis, type LumiEvents, lumiOf } from './lumi.ts';
import type { SortedKeys } from './sort-merge.ts';

export interface KeyFacts {
  /** Rows with the key of an earlier row: how many, and the first of them. */
  readonly repeated: number;
  readonly first: readonly NamedRow[];
  readonly lumis: () => LumiEvents;
}

export interface NamedRow {
  readonly row: number;
  /** How messages name the event. */
  readonly key: string;
  readonly lumi: string | undefined;
}

/** Repeated rows that are named; the others are counted. */
const NAMED_MAX = 1000;

export function factsOf({ keys, repeated }: SortedKeys): KeyFacts {
  const first = repeated.slice(0, NAMED_MAX).map(({ row }) => {
    return { row, key: keyText(keys, row), lumi: lumiOf(keys, row) };
  });
  const lumis = () => {
    const events: LumiEvents = new Map();
    addLumis(events, keys);
    return events;
  };
  return { repeated: repeated.length, first, lumis };
}

/** The same, but for the lumi blocks, by a sort that passes through scratch. Errors: those of reading keys, memory/not-enough. */
export async function streamedFacts(
  file: SourceFile,
  spec: KeySpec,
  limits: SortLimits,
): Promise<Omit<KeyFacts, 'lumis'>> {
  const { stream, close } = await sortSet(eventSet([file]), spec, limits);
  try {
    const stride = keyStride(spec);
    const last = new Uint32Array(stride);
    const first: NamedRow[] = [];
    let repeated = 0;
    for (let any = false; stream.next(); any = true) {
      const words = stream.words();
      const at = stream.at();
      let same = any;
      for (let k = 0; k < stride; k++) {
        if (words[at + k] === last[k]) continue;
        same = false;
        last[k] = words[at + k]!;
      }
      if (!same) continue;
      repeated++;
      const row = stream.row();
      if (first.length === NAMED_MAX && row > first.at(-1)!.row) continue;
      const keys = { spec, rows: 1, stride, words: last };
      first.push({ row, key: keyText(keys, 0), lumi: lumiOf(keys, 0) });
      first.sort((left, right) => left.row - right.row);
      if (first.length > NAMED_MAX) first.pop();
    }
    return { repeated, first };
  } finally {
    close();
  }
}
