// Owns the sources of a file without a receipt: the files given, grouped by their columns, compared by name of column.
import type { Emit } from '../core/events.ts';
import { keyColumnName } from '../keys/spec.ts';
import { openDataset } from '../source/dataset.ts';
import type { Input } from '../source/inputs.ts';
import { openSource } from '../source/registry.ts';
import type { AgainstTest } from './against.ts';
import type { GivenSource, GivenSources } from './find-sources.ts';
import { named } from './findings.ts';

/** A column belongs to the first source that has its name; `NAME_LABEL`, where `LABEL_missing` is there too, to the first after it that has NAME. */
export async function guessSources(
  { file, keys, path }: AgainstTest,
  inputs: readonly Input[],
  emit: Emit,
  signal: AbortSignal,
): Promise<GivenSources> {
  const groups = await groupByColumns(inputs, signal);
  const names = file.descriptor.schema.fields.map((field) => field.name);
  const labels = names.flatMap((name) => (name.endsWith('_missing') ? [name.slice(0, -'_missing'.length)] : []));
  const isKey = new Set(keys.keys.spec.columns.map((column) => keyColumnName(file.descriptor.schema, column.name)));
  const taken = new Set<string>(labels.map((label) => `${label}_missing`));
  const sources: GivenSource[] = [];
  for (const [index, group] of groups.entries()) {
    const label = `source ${index + 1}`;
    const dataset = await openDataset(group, { label, schema: 'strict' }, signal);
    const has = new Set(dataset.descriptor.schema.fields.map((field) => field.name));
    const columns = new Map<string, string>();
    for (const name of names) {
      if (taken.has(name) || isKey.has(name)) continue;
      const from = [name, ...(index === 0 ? [] : bareNames(name, labels))].find((candidate) => has.has(candidate));
      if (from !== undefined) columns.set(name, from);
    }
    for (const name of columns.keys()) taken.add(name);
    sources.push({ index, label, dataset, columns });
  }
  const rest = names.filter((name) => !taken.has(name) && !isKey.has(name));
  if (rest.length > 0) emit({ type: 'note', text: `${path}: no source given has ${named(rest)}: not compared` });
  return { sources, findings: [], left: [] };
}

function bareNames(name: string, labels: readonly string[]): string[] {
  return labels.flatMap((label) => (name.endsWith(`_${label}`) ? [name.slice(0, -label.length - 1)] : []));
}

async function groupByColumns(inputs: readonly Input[], signal: AbortSignal): Promise<readonly (readonly Input[])[]> {
  const groups = new Map<string, Input[]>();
  for (const input of inputs) {
    const file = await openSource(input.uri, input.tree === undefined ? {} : { tree: input.tree }, signal);
    await file.close();
    const id = file.descriptor.schema.fields.map((field) => field.name).join('\0');
    groups.set(id, [...(groups.get(id) ?? []), input]);
  }
  return [...groups.values()];
}
