// Owns model files: a model's inputs and outputs in YAML. What is not known is refused, with its line and the nearest name.
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import {
  type Gather,
  LOGS,
  type Mask,
  type Model,
  type ModelColumn,
  type ModelInput,
  type ModelOutput,
  NAN_POLICIES,
  type Order,
  PROTOCOL_NAMES,
  type Transform,
} from './model.ts';
import { TENSOR_TYPES } from './tensor-types.ts';
import {
  bad,
  count,
  flag,
  isMapping,
  items,
  mapping,
  number,
  oneOf,
  type Placed,
  parseYaml,
  text,
} from './yaml-mapping.ts';

const TRANSFORM_KEYS = ['log', 'scale', 'shift', 'clip'];
const INPUT_KEYS = [
  'dtype',
  'column',
  'columns',
  'shape',
  'pad',
  'fill',
  'order',
  'layout',
  'nulls',
  'mask',
  'gather',
  ...TRANSFORM_KEYS,
];
const OUTPUT_KEYS = ['dtype', 'column', 'columns', 'width', 'index', 'softmax'];
const MODEL_KEYS = [
  'model',
  'version',
  'config-hash',
  'protocol',
  'servers',
  'onnx',
  'per',
  'max-batch-size',
  'inputs',
  'outputs',
  'on-nan',
];

/** Errors: source/not-found, usage/bad-model. */
export function readModelFile(path: string): Model {
  let body: string;
  try {
    body = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ColweaveError('source/not-found', 'the model file cannot be read', { where: [path], cause });
  }
  return parseModel(path, body);
}

/** Errors: usage/bad-model. */
export function parseModel(path: string, body: string): Model {
  const top = parseYaml(path, body);
  const keys = mapping(top, MODEL_KEYS);
  const version = optional(keys.get('version'), text) ?? 'latest';
  const per = optional(keys.get('per'), text) ?? 'event';
  const model: Model = {
    name: text(needed(top, keys, 'model')),
    version: version === 'latest' ? '' : version,
    ...present('configHash', optional(keys.get('config-hash'), text)),
    ...present(
      'protocol',
      optional(keys.get('protocol'), (value) => oneOf(value, PROTOCOL_NAMES)),
    ),
    servers: optional(keys.get('servers'), (value) => items(value).map(text)) ?? [],
    ...present(
      'onnx',
      optional(keys.get('onnx'), (value) => placedIn(dirname(path), text(value))),
    ),
    per: per === 'event' ? '' : per,
    ...present(
      'batchRowsMax',
      optional(keys.get('max-batch-size'), (value) => count(value)),
    ),
    inputs: [...mapping(needed(top, keys, 'inputs'))].map(([name, value]) => readInput(name, value)),
    outputs: [...mapping(needed(top, keys, 'outputs'))].map(([name, value]) => readOutput(name, value)),
    onNan: optional(keys.get('on-nan'), (value) => oneOf(value, NAN_POLICIES)) ?? 'keep',
  };
  if (model.inputs.length === 0) throw bad(needed(top, keys, 'inputs'), 'the model has no inputs');
  if (model.outputs.length === 0) throw bad(needed(top, keys, 'outputs'), 'the model has no outputs');
  refuseTwice(
    needed(top, keys, 'outputs'),
    model.outputs.flatMap(({ columns }) => columns),
    'column',
  );
  const tensors = model.inputs.flatMap(({ name, mask }) => [name, ...(mask === undefined ? [] : [mask.name])]);
  refuseTwice(needed(top, keys, 'inputs'), tensors, 'tensor');
  checkPolicy(model, keys.get('on-nan') ?? top);
  return model;
}

/** A null cannot stand within a list. */
function checkPolicy({ onNan, per, outputs }: Model, at: Placed): void {
  const lists =
    per !== '' || outputs.some(({ columns, index, width }) => columns.length === 1 && index === undefined && width > 1);
  if (onNan === 'null' && lists)
    throw bad(at, 'on-nan: null is for single values, and an output is a list', { hint: 'use keep or fail' });
}

const placedIn = (folder: string, word: string): string => (isAbsolute(word) ? word : join(folder, word));

function optional<Value>(value: Placed | undefined, read: (value: Placed) => Value): Value | undefined {
  return value === undefined ? undefined : read(value);
}

/** Only what was given: an option that is absent has no key. */
function present<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [N in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [N in Name]?: Value };
}

function needed(from: Placed, keys: ReadonlyMap<string, Placed>, name: string): Placed {
  const value = keys.get(name);
  if (value === undefined) throw bad(from, `${from.path === '' ? 'the model file' : from.path} has no key "${name}"`);
  return value;
}

function refuseTwice(at: Placed, names: readonly string[], what: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw bad(at, `two of them are the ${what} "${twice}"`);
}

function readInput(name: string, value: Placed): ModelInput {
  const keys = mapping(value, INPUT_KEYS);
  const shared = readTransform(keys);
  const gather = optional(keys.get('gather'), readGather);
  const ownPad = optional(keys.get('pad'), (each) => count(each));
  if (ownPad !== undefined && gather?.pad !== undefined) throw bad(value, `${name} has two paddings`);
  const pad = ownPad ?? gather?.pad;
  for (const key of ['fill', 'order', 'mask', 'layout']) {
    const at = keys.get(key);
    if (pad === undefined && at !== undefined)
      throw bad(at, `${name} has "${key}" and no padding`, { hint: 'pad: N says how many items of a list there are' });
  }
  return {
    name,
    type: optional(keys.get('dtype'), (each) => oneOf(each, TENSOR_TYPES)) ?? 'FP32',
    columns: readColumns(value, keys).map((each) => readColumn(each, shared)),
    ...present('shape', optional(keys.get('shape'), readShape)),
    ...present('pad', pad),
    fill: optional(keys.get('fill'), number) ?? 0,
    ...present('order', optional(keys.get('order'), readOrder)),
    columnsFirst:
      optional(keys.get('layout'), (each) => oneOf(each, ['items-first', 'columns-first'])) === 'columns-first',
    ...present('nulls', optional(keys.get('nulls'), readNulls)),
    ...present('mask', optional(keys.get('mask'), readMask)),
    ...present('gather', gather?.gather),
  };
}

function readColumns(value: Placed, keys: ReadonlyMap<string, Placed>): readonly Placed[] {
  const one = keys.get('column');
  const many = keys.get('columns');
  if ((one === undefined) === (many === undefined)) throw bad(value, `${value.path} needs "column" or "columns"`);
  const found = one === undefined ? items(many!) : [one];
  if (found.length === 0) throw bad(many!, `${value.path} names no column`);
  return found;
}

function readColumn(value: Placed, shared: Transform): ModelColumn {
  if (!isMapping(value)) return { name: text(value), ...shared };
  const keys = mapping(value, ['column', ...TRANSFORM_KEYS]);
  return { name: text(needed(value, keys, 'column')), ...shared, ...readTransform(keys) };
}

function readTransform(keys: ReadonlyMap<string, Placed>): Transform {
  return {
    ...present(
      'log',
      optional(keys.get('log'), (value) => oneOf(value, LOGS)),
    ),
    ...present('scale', optional(keys.get('scale'), number)),
    ...present('shift', optional(keys.get('shift'), number)),
    ...present('clip', optional(keys.get('clip'), readClip)),
  };
}

function readClip(value: Placed): readonly [number, number] {
  const [low, high, ...more] = items(value).map(number);
  if (low === undefined || high === undefined || more.length > 0 || low > high)
    throw bad(value, `"${value.path}" is no pair [LOW, HIGH]`);
  return [low, high];
}

function readShape(value: Placed): readonly number[] {
  return items(value).map((each) => count(each));
}

function readNulls(value: Placed): number | undefined {
  return isWord(value, 'fail') ? undefined : number(value);
}

function isWord(value: Placed, word: string): boolean {
  try {
    return text(value) === word;
  } catch {
    return false;
  }
}

function readOrder(value: Placed): Order {
  const keys = mapping(value, ['by', 'ascending']);
  return { by: text(needed(value, keys, 'by')), ascending: optional(keys.get('ascending'), flag) ?? false };
}

function readMask(value: Placed): Mask {
  if (!isMapping(value)) return { name: text(value), type: 'FP32' };
  const keys = mapping(value, ['name', 'dtype', 'shape']);
  return {
    name: text(needed(value, keys, 'name')),
    type: optional(keys.get('dtype'), (each) => oneOf(each, TENSOR_TYPES)) ?? 'FP32',
    ...present('shape', optional(keys.get('shape'), readShape)),
  };
}

function readGather(value: Placed): { readonly gather: Gather; readonly pad?: number } {
  const keys = mapping(value, ['from', 'index', 'group', 'of', 'pad']);
  const word = (name: string) => text(needed(value, keys, name));
  return {
    gather: { from: word('from'), index: word('index'), group: word('group'), of: word('of') },
    ...present(
      'pad',
      optional(keys.get('pad'), (each) => count(each)),
    ),
  };
}

function readOutput(name: string, value: Placed): ModelOutput {
  if (!isMapping(value)) return { name, type: 'FP32', columns: [text(value)], width: 1, softmax: false };
  const keys = mapping(value, OUTPUT_KEYS);
  const columns = readColumns(value, keys).map(text);
  const many = keys.has('columns');
  const index = optional(keys.get('index'), (each) => count(each, 0));
  const given = optional(keys.get('width'), (each) => count(each));
  if (many && index !== undefined) throw bad(keys.get('index')!, `${name}: "index" takes one column`);
  if (many && given !== undefined && given !== columns.length)
    throw bad(keys.get('width')!, `${name}: ${columns.length} columns for ${given} values of a row`);
  const width = given ?? (many ? columns.length : 1);
  if (index !== undefined && index >= width)
    throw bad(keys.get('index')!, `${name}: there is no value ${index} of ${width}`, {
      hint: 'width: N says how many values a row has',
    });
  return {
    name,
    type: optional(keys.get('dtype'), (each) => oneOf(each, TENSOR_TYPES)) ?? 'FP32',
    columns,
    width,
    ...present('index', index),
    softmax: optional(keys.get('softmax'), flag) ?? false,
  };
}
