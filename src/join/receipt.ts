// Owns filling receipt/1 from a plan and the seals of what was written.
import type { Ancestry } from '../core/ancestry.ts';
import {
  isWeights,
  type LumiRanges,
  RECEIPT_FORMAT,
  type Receipt,
  type ReceiptColumn,
  type ReceiptSelection,
  type ReceiptSource,
  type ReceiptWitness,
} from '../core/receipt.ts';
import { typeName } from '../core/schema.ts';
import { NO_SEAL, type Seal, sealHex } from '../core/seal.ts';
import { fileName } from '../core/text.ts';
import type { Fingerprint } from '../sink/types.ts';
import type { ColumnSeals } from './block.ts';
import { type LumiCounts, lumiRanges } from './lumis.ts';
import type { JoinPlan, OutColumn } from './plan.ts';
import { type BlockWitness, powerOf } from './witness.ts';

/** Sums over the blocks of one part. */
export interface PartTotals {
  readonly rows: number;
  readonly keySeal: Seal;
  readonly order: Seal;
  readonly columns: readonly ColumnSeals[];
  readonly sourceKeys: readonly Seal[];
  readonly matched: readonly number[];
  readonly lumis: LumiCounts;
  readonly witness: BlockWitness;
}

export interface ReceiptContext {
  readonly tool: string;
  /** What was asked, without where or how fast. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly policies: Readonly<Record<string, unknown>>;
  /** Over all rows of each source. */
  readonly sourceKeySeals: readonly Seal[];
  readonly ancestry: readonly (Ancestry | undefined)[];
  readonly lumisIn: LumiRanges;
  readonly selection?: ReceiptSelection;
}

export function makeReceipt(
  plan: JoinPlan,
  totals: PartTotals,
  { rowGroups }: Fingerprint,
  context: ReceiptContext & { readonly rows: number; readonly part?: Receipt['part'] },
): Receipt {
  return {
    format: RECEIPT_FORMAT,
    tool: context.tool,
    spec: { ...context.spec, rowGroupRows: plan.rowGroupRows },
    sources: plan.sources.map((_, s) => sourceOf(plan, totals, s, context)),
    output: {
      rows: context.rows,
      keySeal: sealHex(totals.keySeal),
      order: sealHex(totals.order),
      columns: plan.columns.map((column, i) => columnOf(column, totals.columns[i]!.written, totals.columns[i]!)),
      rowGroups,
    },
    lumis: { in: context.lumisIn, out: lumiRanges(totals.lumis) },
    witness: witnessOf(plan, totals.witness),
    policies: context.policies,
    ...(context.selection === undefined ? {} : { selection: context.selection }),
    ...(context.part === undefined ? {} : { part: context.part }),
  };
}

/** Of every friend: what was compared with the primary, and how often two random events would agree. */
export function witnessOf(plan: JoinPlan, { counts, samples }: BlockWitness): readonly ReceiptWitness[] {
  return plan.sources.slice(1).map(({ label }, i) => ({
    source: label,
    columns: plan.witnesses.flatMap(({ source, primary, friend, hard, tolerance }, w) =>
      source === i + 1 ? [{ name: primary, from: friend, hard, tolerance, ...counts[w]! }] : [],
    ),
    ...powerOf([samples.get(i + 1) ?? new Float64Array(0)]),
  }));
}

function sourceOf(plan: JoinPlan, totals: PartTotals, s: number, context: ReceiptContext): ReceiptSource {
  const { dataset, label, dropped, duplicates } = plan.sources[s]!;
  const ancestry = context.ancestry[s];
  const own = plan.equal.filter(({ source }) => source === s);
  const equal = own.map(({ name, from, column }) => ({ name, from, column }));
  const columns = plan.columns.flatMap((column, i) => {
    const { source } = totals.columns[i]!;
    const whole = column.kind === 'payload' || totals.matched[s] === totals.rows;
    const named = { ...columnOf(column, source ?? NO_SEAL), ...originOf(column, label) };
    return column.source === s && source !== undefined && whole ? [named] : [];
  });
  return {
    label,
    files: dataset.files.map(({ descriptor }) => ({
      name: fileName(descriptor.uri),
      identity: descriptor.identity,
      rows: descriptor.rows,
    })),
    rows: dataset.rows,
    keySeal: sealHex(context.sourceKeySeals[s]!),
    matched: totals.matched[s]!,
    unmatched: dataset.rows - totals.matched[s]!,
    duplicates,
    ...(s === 0 && plan.overlaps.length > 0 ? { overlaps: plan.overlaps } : {}),
    columns,
    dropped,
    ...(equal.length === 0 ? {} : { equal }),
    ...(ancestry === undefined ? {} : { ancestry }),
  };
}

/** A source's own name of a column, where it does not follow from the label. */
function originOf({ from, field }: OutColumn, label: string): { readonly from?: string } {
  return from === field.name || `${from}_${label}` === field.name ? {} : { from };
}

function columnOf(column: OutColumn, seal: Seal, seals?: ColumnSeals): ReceiptColumn {
  const filled = seals === undefined ? 0 : seals.written.present - seals.moved.present;
  const base = {
    name: column.field.name,
    type: typeName(column.field.type),
    present: seal.present,
    seal: sealHex(seal),
    ...(column.field.doc && column.kind === 'payload' && isWeights(column.from) ? { title: column.field.doc } : {}),
  };
  return filled > 0 ? { ...base, filled } : base;
}
