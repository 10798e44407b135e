// Owns a first model file: what a server says of a model, as YAML to be completed with the names of columns.
import { isTensorType } from './tensor.ts';
import type { ModelInfo, TensorSpec } from './types.ts';

/** The values a row of this shape may be given as columns one by one; beyond it a pattern is of more use. */
const NAMED_MAX = 64;

export function modelFileText(info: ModelInfo): string {
  const { name, version, maxBatchSize, configHash, inputs, outputs } = info;
  const lines = [
    `# ${name}: what the server says of it. Replace the names of columns, then look at it: colweave infer --dry-run`,
    `model: ${quoted(name)}`,
    version === '' ? 'version: latest' : `version: ${quoted(version)} # latest = the newest that is served`,
    ...(configHash === undefined ? [] : [`# config-hash: ${configHash}`]),
    ...(maxBatchSize === undefined || maxBatchSize === 0 ? [] : [`max-batch-size: ${maxBatchSize}`]),
    'per: event # or a collection, such as Jet: then each of its objects is a row',
    'inputs:',
    ...masked(inputs).flatMap(({ spec, mask }) => inputLines(spec, mask)),
    'outputs:',
    ...outputs.flatMap(outputLines),
    'on-nan: keep # fail, null',
  ];
  return `${lines.join('\n')}\n`;
}

/** A word as YAML, in quotes where it could be taken for something else. */
function quoted(word: string): string {
  return /^[A-Za-z_][\w.-]*$/.test(word) && !/^(true|false|null|yes|no|on|off)$/i.test(word)
    ? word
    : JSON.stringify(word);
}

interface Masked {
  readonly spec: TensorSpec;
  readonly mask?: TensorSpec;
}

/** An input called mask, as long as the items of another one, is most likely its mask. */
function masked(inputs: readonly TensorSpec[]): readonly Masked[] {
  const found = new Map<TensorSpec, TensorSpec>();
  for (const mask of inputs) {
    if (!/mask/i.test(mask.name)) continue;
    const items = mask.shape.at(-1);
    const owner = inputs.find((other) => other !== mask && other.shape.length === 3 && other.shape.includes(items!, 1));
    if (owner !== undefined && !found.has(owner)) found.set(owner, mask);
  }
  const masks = new Set(found.values());
  return inputs
    .filter((spec) => !masks.has(spec))
    .map((spec) => {
      const mask = found.get(spec);
      return mask === undefined ? { spec } : { spec, mask };
    });
}

function inputLines({ name, type, shape }: TensorSpec, mask: TensorSpec | undefined): string[] {
  const dims = shape.slice(1);
  const lines = [`  ${quoted(name)}: # ${type} [${shape.join(', ')}]`, ...typeLine(type)];
  if (dims.length < 2) {
    const values = dims[0] ?? 1;
    lines.push(...columnLines(name, values));
    if (dims.length === 0) lines.push('    shape: []');
    return lines;
  }
  const [items, columns] = dims.map((length) => (length === -1 ? 64 : length)) as [number, number];
  lines.push(...columnLines(name, columns), `    pad: ${items}`, '    fill: 0');
  lines.push('    # order: {by: Jet_pt} # which items are left when there are more');
  lines.push('    # layout: columns-first # if the tensor is [columns, items]');
  if (mask !== undefined) lines.push(...maskLine(mask, items));
  return lines;
}

function maskLine({ name, type, shape }: TensorSpec, items: number): string[] {
  const dims = shape.slice(1).map((length) => (length === -1 ? items : length));
  const facts = [
    `name: ${quoted(name)}`,
    ...(type === 'FP32' ? [] : [`dtype: ${type}`]),
    ...(dims.length === 1 ? [] : [`shape: [${dims.join(', ')}]`]),
  ];
  return [facts.length === 1 ? `    mask: ${quoted(name)}` : `    mask: {${facts.join(', ')}}`];
}

function typeLine(type: string): string[] {
  if (!isTensorType(type)) return [`    # dtype: ${type} cannot be made of columns`];
  return type === 'FP32' ? [] : [`    dtype: ${type}`];
}

function columnLines(name: string, count: number): string[] {
  if (count < 1 || count > NAMED_MAX) return ['    columns: [COLUMN_1, COLUMN_2]'];
  const names = Array.from({ length: count }, (_, i) => `${name}_COLUMN_${i + 1}`.replace(/\W/g, '_'));
  return count === 1 ? [`    column: ${names[0]}`] : [`    columns: [${names.join(', ')}]`];
}

function outputLines({ name, type, shape }: TensorSpec): string[] {
  const values = shape.slice(1).reduce((product, length) => product * length, 1);
  const column = name.replace(/\W/g, '_');
  const lines = [`  ${quoted(name)}: # ${type} [${shape.join(', ')}]`, ...typeLine(type)];
  if (values === 1) return [...lines, `    column: ${column}`];
  if (values < 1 || values > NAMED_MAX) return [...lines, `    column: ${column}`, `    width: ${Math.abs(values)}`];
  const names = Array.from({ length: values }, (_, i) => `${column}_${i}`);
  return [...lines, `    columns: [${names.join(', ')}] # or column, with width and index`];
}
