// Owns lumi masks as CMS writes them, {"run": [[first, last], ...]}: read, written, and compared with the events of files.
import { readFileSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';
import type { LumiRanges } from '../core/receipt.ts';
import { counted, type Finding, finding, named } from './findings.ts';
import type { LumiEvents } from './lumi.ts';
import { checkAbsent, type LumiEvidence } from './lumi-blocks.ts';

/** Ranges of lumi blocks by run, ends included. */
export type LumiMask = ReadonlyMap<string, readonly (readonly [number, number])[]>;

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Errors: source/not-found, verify/not-a-mask. */
export function readMask(path: string): LumiMask {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ColweaveError('source/not-found', 'the lumi mask cannot be read', { where: [path], cause });
  }
  const wrong = (why: string): never => {
    throw new ColweaveError('verify/not-a-mask', why, { where: [path] });
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return wrong('it is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return wrong('it holds no runs');
  const mask = new Map<string, (readonly [number, number])[]>();
  for (const [run, ranges] of Object.entries(parsed)) {
    if (!/^\d+$/.test(run)) return wrong(`"${run}" is no run`);
    if (!Array.isArray(ranges)) return wrong(`run ${run} has no list of ranges`);
    for (const range of ranges) {
      if (!Array.isArray(range) || range.length !== 2 || !range.every(isNumber) || range[0]! > range[1]!)
        return wrong(`run ${run}: ${JSON.stringify(range)} is no range of lumi blocks`);
    }
    mask.set(String(Number(run)), ranges as [number, number][]);
  }
  return mask;
}

/** What was processed, as ranges; the bytes are those of CMS's own tools but for white space. */
export function maskText(events: LumiEvents): string {
  const runs = new Map<number, number[]>();
  for (const name of events.keys()) {
    const [run, lumi] = name.split(':').map(Number) as [number, number];
    const blocks = runs.get(run);
    if (blocks === undefined) runs.set(run, [lumi]);
    else blocks.push(lumi);
  }
  const entries = [...runs].sort(([left], [right]) => left - right);
  const lines = entries.map(([run, blocks]) => `"${run}": ${JSON.stringify(rangesOf(blocks)).replaceAll(',', ', ')}`);
  return `{${lines.join(',\n ')}}\n`;
}

function rangesOf(blocks: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const lumi of [...blocks].sort((left, right) => left - right)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1 === lumi) last[1] = lumi;
    else ranges.push([lumi, lumi]);
  }
  return ranges;
}

/** Events outside of the mask are a finding; lumi blocks of the mask without an event are said, with the reason. */
export function checkMask(events: LumiEvents, mask: LumiMask, evidence: LumiEvidence): readonly Finding[] {
  const outside: string[] = [];
  let count = 0;
  for (const [name, number] of events) {
    const [run, lumi] = name.split(':') as [string, string];
    if (mask.get(run)?.some(([first, last]) => first <= Number(lumi) && Number(lumi) <= last)) continue;
    outside.push(name);
    count += number;
  }
  const absent = checkAbsent(events, mask, evidence);
  if (count === 0) return absent;
  const text = `${counted(count, 'event')} outside of the mask, in run:lumi ${named(outside)}`;
  return [finding('verify/lumi-outside', text, { count, lumis: outside }), ...absent];
}

/** What a join lost of one run of its primary. */
export interface RunLoss {
  readonly run: string;
  readonly blocks: number;
  readonly events: number;
  readonly lostBlocks: number;
  readonly lostEvents: number;
}

/** Per run, from the tables of a receipt: lumi blocks and events that came in, and how many of them did not come out. */
export function lossesByRun(into: LumiRanges, out: LumiEvents): readonly RunLoss[] {
  return into.map(([run, stretches]) => {
    let [blocks, events, lostBlocks, lostEvents] = [0, 0, 0, 0];
    for (const [first, last, each] of stretches) {
      for (let lumi = first; lumi <= last; lumi++) {
        const left = out.get(`${run}:${lumi}`) ?? 0;
        blocks++;
        events += each;
        if (left === 0) lostBlocks++;
        lostEvents += Math.max(0, each - left);
      }
    }
    return { run, blocks, events, lostBlocks, lostEvents };
  });
}
