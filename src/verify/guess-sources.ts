// Owns the sources of a file without a receipt: the files given, grouped by their columns, compared by name of column.
import type { Emit } from '../core/events.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { readKeys } from '../keys/read.ts';
import { keyColumnName } from '../keys/spec.ts';
import { closeDataset, type Dataset, openDataset } from '../source/dataset.ts';
import type { Input } from '../source/inputs.ts';
import { openInput } from '../source/registry.ts';
import type { AgainstTest } from './against.ts';
import type { GivenSource, GivenSources } from './find-sources.ts';
import { named } from './findings.ts';
import { repeatedRows, sortKeys } from './sort-merge.ts';

/**
 * Every source that has a column's name may be its origin; for `NAME_LABEL`, where `LABEL_missing` is there too, also
 * every source that has NAME. Files of equal columns are one source, unless they hold the same events.
 */
export async function guessSources(
  { file, path }: Pick<AgainstTest, 'file' | 'path'>,
  spec: KeySpec,
  inputs: readonly Input[],
  emit: Emit,
  signal: AbortSignal,
): Promise<GivenSources> {
  const names = file.descriptor.schema.fields.map((field) => field.name);
  const labels = names.flatMap((name) => (name.endsWith('_missing') ? [name.slice(0, -'_missing'.length)] : []));
  const known = new Set<string | undefined>(labels.map((label) => `${label}_missing`));
  for (const { name } of spec.columns) known.add(keyColumnName(file.descriptor.schema, name));
  const sources: GivenSource[] = [];
  for (const dataset of await openGroups(await groupByColumns(inputs, signal), spec, signal)) {
    const has = new Set(dataset.descriptor.schema.fields.map((field) => field.name));
    const origins = names
      .filter((name) => !known.has(name))
      .map((name) => [name, [name, ...bareNames(name, labels)].find((candidate) => has.has(candidate))] as const);
    const columns = new Map(origins.flatMap(([name, from]) => (from === undefined ? [] : [[name, from] as const])));
    sources.push({ index: sources.length, label: dataset.descriptor.label, dataset, columns });
  }
  const rest = names.filter((name) => !known.has(name) && !sources.some(({ columns }) => columns.has(name)));
  if (rest.length > 0) emit({ type: 'note', text: `${path}: no source given has ${named(rest)}: not compared` });
  return { sources, findings: [], left: [] };
}

async function openGroups(
  groups: readonly (readonly Input[])[],
  spec: KeySpec,
  signal: AbortSignal,
): Promise<readonly Dataset[]> {
  const datasets: Dataset[] = [];
  const open = async (group: readonly Input[]) => {
    const label = `source ${datasets.length + 1}`;
    const dataset = await openDataset(group, { label, schema: 'strict' }, signal);
    const keys = sortKeys(await readKeys(dataset, spec, undefined, signal));
    if (group.length === 1 || repeatedRows(keys).length === 0) {
      datasets.push(dataset);
      return;
    }
    await closeDataset(dataset);
    for (const input of group) await open([input]);
  };
  for (const group of groups) await open(group);
  return datasets;
}

function bareNames(name: string, labels: readonly string[]): string[] {
  return labels.flatMap((label) => (name.endsWith(`_${label}`) ? [name.slice(0, -label.length - 1)] : []));
}

async function groupByColumns(inputs: readonly Input[], signal: AbortSignal): Promise<readonly (readonly Input[])[]> {
  const groups = new Map<string, Input[]>();
  for (const input of inputs) {
    const file = await openInput(input, {}, signal);
    await file.close();
    const id = file.descriptor.schema.fields.map((field) => field.name).join('\0');
    groups.set(id, [...(groups.get(id) ?? []), input]);
  }
  return [...groups.values()];
}
