// Owns what a join says of itself: the summary of its plan, and what was asked, for the receipt.
import type { Ancestry } from '../core/ancestry.ts';
import { typeName } from '../core/schema.ts';
import type { Seal } from '../core/seal.ts';
import { formatBytes } from '../core/text.ts';
import { keyNames } from '../join/key-proof.ts';
import { countLumis, type LumiCounts, lumiRanges } from '../join/lumis.ts';
import type { JoinPlan } from '../join/plan.ts';
import { witnessOnly } from '../join/witness.ts';
import { inScratch, keyChunks } from '../keys/store.ts';
import { type Dataset, datasetBytes } from '../source/dataset.ts';
import type { Budget } from './budget.ts';
import { type Carried, carriedSpec } from './carry.ts';
import type { DatasetFiles } from './primary-datasets.ts';
import type { Request } from './request.ts';
import type { JoinOptions, PlanSummary, SelectionSummary } from './types.ts';
import { TOOL } from './version.ts';

interface Asked {
  readonly carried: Carried;
  readonly request: Request;
  readonly groups: readonly DatasetFiles[];
  readonly ancestry: readonly (Ancestry | undefined)[];
  readonly selection: SelectionSummary | undefined;
  /** Over all keys of each source. */
  readonly sourceKeySeals: readonly Seal[];
  /** Of the model whose scores are in the output. */
  readonly infer?: Readonly<Record<string, unknown>>;
}

export function receiptContext(plan: JoinPlan, options: JoinOptions, asked: Asked) {
  const { carried, request, groups, ancestry, selection, sourceKeySeals, infer } = asked;
  const lumis: LumiCounts = new Map();
  for (const { table } of keyChunks(plan.sources[0]!.keys)) countLumis(lumis, table);
  return {
    tool: TOOL,
    spec: {
      ...specOf(plan, options),
      ...carriedSpec(carried),
      request,
      ...(infer === undefined ? {} : { infer }),
      ...(groups.length === 0 ? {} : { primaryDatasets: groups }),
    },
    policies: policiesOf(options),
    sourceKeySeals,
    ancestry,
    lumisIn: lumiRanges(lumis),
    ...(selection === undefined ? {} : { selection }),
  };
}

/** What was asked; never paths, threads or memory. */
function specOf(plan: JoinPlan, options: JoinOptions): Record<string, unknown> {
  return {
    how: options.how,
    on: plan.key.columns.map((column) => column.name),
    layout: options.layout,
    columns: options.columns,
    labels: options.friends.map((friend) => friend.label ?? null),
    sample: options.sample ?? null,
    ...(options.where === undefined ? {} : { where: options.where }),
    ...(options.mapOnly === true ? { mapOnly: true } : {}),
    ...(options.dedup === true ? { dedup: true } : {}),
    ...(options.naming === undefined ? {} : { naming: options.naming }),
    compression: options.compression,
    writer: options.writer,
  };
}

function policiesOf(options: JoinOptions): Record<string, unknown> {
  const missing = options.missing.kind === 'fill' ? `fill=${options.missing.value}` : options.missing.kind;
  return {
    missing,
    duplicates: options.duplicates ?? 'error',
    schema: options.schema,
    absentTrigger: options.absentTrigger ?? null,
    expect: options.expect ?? null,
    witness: options.witness ?? 'auto',
    titles: options.titles ?? 'stop',
    dropUnreadable: options.dropUnreadable,
  };
}

export function summarize(
  plan: JoinPlan,
  datasets: readonly Dataset[],
  options: JoinOptions,
  budget: Budget,
): PlanSummary {
  const sources = plan.sources.map((source, s) => {
    const columns = plan.columns.filter(
      (column) => column.source === s && (column.kind === 'key' || column.kind === 'payload'),
    );
    const dataset = datasets[s]!;
    const names = [...new Set([...columns.map(({ from }) => from), ...keyNames(plan, s), ...witnessOnly(plan, s)])];
    return {
      label: source.label,
      role: s === 0 ? ('primary' as const) : ('friend' as const),
      files: dataset.files.length,
      rows: dataset.descriptor.rows,
      columns: columns.length,
      matched: source.matched,
      missing: source.missing,
      extra: source.extra,
      path: source.path,
      why: source.why,
      bytesToRead: datasetBytes(dataset, names).stored,
      dropped: [...source.dropped, ...dataset.redundant],
      unreadable: dataset.unreadable,
    };
  });
  return {
    key: plan.key.columns.map((column) => column.name),
    how: plan.how,
    layout: plan.layout,
    sources,
    ...(plan.equal.length === 0 ? {} : { equal: plan.equal.map(({ name, column }) => ({ name, column })) }),
    rowsOut: plan.rowsOut,
    columnsOut: plan.columns.map(({ field, source, kind }) => ({
      name: field.name,
      type: typeName(field.type),
      nullable: field.nullable,
      source: kind === 'score' ? 'the model' : plan.sources[source]!.label,
    })),
    rowGroupRows: plan.rowGroupRows,
    threads: budget.threads,
    memoryBytes: budget.memoryBytes,
    scratchBytes: budget.scratchBytes,
    notes: notesOf(plan, options),
    ...(plan.overlaps.length === 0 ? {} : { overlaps: plan.overlaps }),
  };
}

function spilledNote({ sources }: JoinPlan): string[] {
  const bytes = new Map(
    sources.flatMap(({ keys }) => (inScratch(keys) ? [[keys.offset, keys.rows * (2 * keys.stride + 1) * 4]] : [])),
  );
  if (bytes.size === 0) return [];
  const all = [...bytes.values()].reduce((sum, own) => sum + own, 0);
  return [`keys do not fit in memory: ${formatBytes(all)} of them pass through scratch`];
}

function notesOf(plan: JoinPlan, options: JoinOptions): string[] {
  const spilled = spilledNote(plan);
  const nulls = plan.columns.filter((column) => column.field.nullable && column.kind === 'payload').length;
  const anyMissing = plan.sources.some((source) => source.missing > 0);
  if (options.dryRun && options.dedup === true)
    return [...spilled, 'equal columns are found by reading them, which a dry run does not: all are listed'];
  if (options.layout === 'nano' || nulls === 0 || !anyMissing) return spilled;
  return [
    ...spilled,
    `${nulls} columns hold nulls where events are missing: coffea's from_parquet misreads those of integers and bools; for coffea use --layout nano`,
  ];
}
