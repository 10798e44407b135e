// Owns lumi blocks that were processed whether or not an event of them is left: LuminosityBlocks trees, and why a block has none.
import type { FlatColumn } from '../core/column.ts';
import type { SourceFile } from '../source/types.ts';
import { counted, type Finding, finding, named } from './findings.ts';
import type { LumiEvents } from './lumi.ts';
import type { LumiMask } from './lumi-json.ts';

export const LUMI_TREE = 'LuminosityBlocks';

/** What tells a lumi block without events from one that is lost. */
export interface LumiEvidence {
  /** `run:lumi` of all LuminosityBlocks trees that were found; undefined = there are none. */
  readonly processed: ReadonlySet<string> | undefined;
  /** By receipts, blocks with events of the primary: of joins that keep all but what a selection cut. */
  readonly kept: ReadonlySet<string>;
  /** The same, of joins that lose events which a friend has not. */
  readonly losing: ReadonlySet<string>;
}

const READ_ROWS = 1 << 18;

/** Adds the blocks of a LuminosityBlocks table; false = it has no run and lumi block. */
export async function addBlocks(blocks: Set<string>, file: SourceFile, signal: AbortSignal): Promise<boolean> {
  const names = ['run', 'luminosityBlock'];
  const { schema, rows } = file.descriptor;
  const fields = names.map((name) => schema.fields.find((field) => field.name === name));
  if (fields.some((field) => field?.type.kind !== 'flat')) return false;
  for (let start = 0; start < rows; start += READ_ROWS) {
    const columns = await file.read(names, start, Math.min(rows, start + READ_ROWS), signal);
    const [runs, lumis] = columns.map((column) => (column as FlatColumn).values);
    for (let i = 0; i < runs!.length; i++) blocks.add(`${runs![i]}:${lumis![i]}`);
  }
  return true;
}

/** Names kept of each reason: a golden JSON has tens of thousands. */
const KEPT = 1000;

/** Lumi blocks of the mask without an event, each with the reason: emptied by a selection, lost by the join, processed without one, or never processed. */
export function checkAbsent(
  events: LumiEvents,
  mask: LumiMask,
  { processed, kept, losing }: LumiEvidence,
): readonly Finding[] {
  const cut = new Group();
  const lost = new Group();
  const empty = new Group();
  const absent = new Group();
  for (const [run, ranges] of mask) {
    for (const [first, last] of ranges) {
      for (let lumi = first; lumi <= last; lumi++) {
        const name = `${run}:${lumi}`;
        if (events.has(name)) continue;
        const group = losing.has(name) ? lost : kept.has(name) ? cut : processed?.has(name) ? empty : absent;
        group.add(name);
      }
    }
  }
  const whole = processed !== undefined && [...events.keys()].every((name) => processed.has(name));
  const found: Finding[] = [];
  const say = (
    code: Finding['code'] & ('verify/lumi-absent' | 'verify/lumi-empty' | 'verify/lumi-lost'),
    group: Group,
    why: string,
  ) => {
    if (group.count === 0) return;
    const text = `${counted(group.count, 'lumi block')} of the mask without an event${why}, run:lumi ${named(group.names)}`;
    found.push(finding(code, text, { count: group.count, lumis: group.names }));
  };
  say('verify/lumi-empty', cut, ': the selection left none');
  say('verify/lumi-empty', empty, `, but processed (${LUMI_TREE})`);
  say('verify/lumi-lost', lost, ': the primary has some, the join lost them all');
  say('verify/lumi-absent', absent, whole ? ` and not processed (${LUMI_TREE})` : '');
  return found;
}

class Group {
  count = 0;
  readonly names: string[] = [];
  add(name: string): void {
    if (this.count++ < KEPT) this.names.push(name);
  }
}

/** Blocks with events and blocks that were processed without one: what a luminosity is counted over. */
export function processedLumis(events: LumiEvents, { processed, kept, losing }: LumiEvidence): LumiEvents {
  const all: LumiEvents = new Map(events);
  for (const name of [...(processed ?? []), ...kept]) if (!all.has(name) && !losing.has(name)) all.set(name, 0);
  return all;
}
